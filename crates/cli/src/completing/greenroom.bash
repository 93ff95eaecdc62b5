# Completion of greenroom for bash, by `greenroom completions bash`.

_greenroom() {
    local answer line directive='' all_open=1 at
    COMPREPLY=()
    answer=$(command greenroom __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" \
        2>/dev/null) || return 0
    while IFS= read -r line; do
        if [[ -z $directive ]]; then
            directive=$line
            continue
        fi
        COMPREPLY+=("$line")
        [[ $line == *[/:=] ]] || all_open=0
    done <<<"$answer"
    if [[ $directive == command ]]; then
        # Another command line begins behind the `--`.
        for ((at = 1; at < COMP_CWORD; at++)); do
            [[ ${COMP_WORDS[at]} == -- ]] && break
        done
        if declare -F _comp_command_offset >/dev/null; then
            _comp_command_offset $((at + 1))
        elif declare -F _command_offset >/dev/null; then
            _command_offset $((at + 1))
        else
            compopt -o default 2>/dev/null
        fi
    elif ((${#COMPREPLY[@]} > 0 && all_open)); then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}

if ((BASH_VERSINFO[0] > 4 || (BASH_VERSINFO[0] == 4 && BASH_VERSINFO[1] >= 4))); then
    complete -o nosort -F _greenroom greenroom
else
    complete -F _greenroom greenroom
fi
