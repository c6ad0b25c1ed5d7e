# zo.bash: completion for bash (and zsh, with bashcompinit). Commands and options are those that `zo help` tells; names come from `zo list`.
_zo() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]-} words=
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        words=$(zo help 2>/dev/null | sed -n 's/^  zo \([a-z]*\) .*/\1/p')
    elif [ "$command" = help ]; then
        words=$(zo help 2>/dev/null | sed -n 's/^  zo \([a-z]*\) .*/\1/p')
    elif [ "${word#-}" != "$word" ]; then
        words=$(zo help "$command" 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)
    elif [ "$command" = list ] && [ "$COMP_CWORD" = 2 ]; then
        words=$(zo help list 2>/dev/null | sed -n 's/^usage: zo list \([^ ]*\).*/\1/p' | tr '|' ' ')
    elif [ "$command" = show ] && [ "$COMP_CWORD" = 2 ]; then
        words=$(zo list tasks --json 2>/dev/null | sed -n 's/.*"task":[[:space:]]*"\([^"]*\)".*/\1/p')
    elif [ "$before" = --format ]; then
        words=$(zo help "$command" 2>/dev/null | sed -n 's/.*--format \([a-z|]*\).*/\1/p' | head -n 1 | tr '|' ' ')
    elif [ "$before" = --against ]; then
        words=$(zo list optimizers --json 2>/dev/null | sed -n 's/.*"optimizer":[[:space:]]*"\([^"]*\)".*/\1/p')
    fi
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}
complete -o filenames -F _zo zo
