# Completion of greenroom for Elvish, by `greenroom completions elvish`.

use re
use str

set edit:completion:arg-completer[greenroom] = {|@words|
    var index = (- (count $words) 1)
    try {
        var answer = [(e:greenroom __complete elvish $index $@words 2>/dev/null | from-lines)]
        if (!=s $answer[0] values) {
            edit:complete-filename $@words
        } else {
            for line $answer[1..] {
                var parts = [(str:split "\t" $line)]
                var suffix = ' '
                if (re:match '[/:=]$' $parts[0]) {
                    set suffix = ''
                }
                var shown = $parts[0]
                if (> (count $parts) 1) {
                    set shown = $parts[0]'  -- '$parts[1]
                }
                edit:complex-candidate $parts[0] &display=$shown &code-suffix=$suffix
            }
        }
    } catch e {
        nop
    }
}
