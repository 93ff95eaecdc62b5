#compdef greenroom
# Completion of greenroom for zsh, by `greenroom completions zsh`.

_greenroom() {
    local answer line value at
    local -a lines plain plain_shown open open_shown
    answer=$(command greenroom __complete zsh $((CURRENT - 1)) \
        "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null) || return 1
    lines=("${(@f)answer}")
    if [[ $lines[1] == 'command '* ]]; then
        # Another command line begins behind the `--`.
        at=${lines[1]#command }
        words=("${(@)words[at+1,-1]}")
        (( CURRENT -= at ))
        _normal
        return
    fi
    for line in "${(@)lines[2,-1]}"; do
        value=${line%%$'\t'*}
        if [[ $line == *$'\t'* ]]; then
            line="$value  -- ${line#*$'\t'}"
        fi
        if [[ $value == *[/:=] ]]; then
            open+=("$value")
            open_shown+=("$line")
        else
            plain+=("$value")
            plain_shown+=("$line")
        fi
    done
    local result=1
    (( $#plain )) && compadd -V greenroom -l -d plain_shown -a plain && result=0
    (( $#open )) && compadd -V greenroom -S '' -l -d open_shown -a open && result=0
    return result
}

if [[ $funcstack[1] == _greenroom ]]; then
    _greenroom "$@"
else
    compdef _greenroom greenroom
fi
