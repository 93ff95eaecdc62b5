# Completion of greenroom for fish, by `greenroom completions fish`.

function __greenroom_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l typed (commandline --current-token --cut-at-cursor)
    set -l current (string unescape -- "$typed")
    or set current (string trim --left --chars "\"'" -- "$typed")
    set -l answer (command greenroom __complete fish (count $words) $words "$current" 2>/dev/null)
    or return
    set -l directive (string split ' ' -- $answer[1])
    if test "$directive[1]" = command
        # Another command line begins behind the `--`.
        set -l from (math $directive[2] + 1)
        set -l rest
        test $from -le (count $words); and set rest (string escape -- $words[$from..-1])
        complete --do-complete (string join ' ' -- $rest "$typed")
        return
    end
    string join \n -- $answer[2..-1]
end

complete --command greenroom --no-files --keep-order --arguments '(__greenroom_complete)'
