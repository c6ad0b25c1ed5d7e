#!/bin/sh
# man.sh ZO: the manual page zo(1), of what the program itself says: `zo help`, and that of each command.
set -eu
zo=$1
# A text as it is: no line of it is a request, and no character an escape.
verbatim() { printf '.nf\n'; sed 's/\\/\\e/g; s/-/\\-/g; s/^\([.'"'"']\)/\\\&\1/'; printf '.fi\n'; }
version=$("$zo" version | sed -n '1s/^zo \([^ ]*\).*/\1/p')
printf '.TH ZO 1 "" "zo %s" "User Commands"\n.SH NAME\nzo \\- zeroth-order and first-order fine-tuning of language models, measured\n' "$version"
printf '.SH SYNOPSIS\n.B zo\n.I COMMAND\n[OPTION]... [WORD]...\n.SH COMMANDS\n'
"$zo" help | sed '1,2d' | verbatim
"$zo" help | sed -n 's/^  zo \([a-z]*\) .*/\1/p' | while read -r command; do
    [ "$command" = help ] && continue
    printf '.SS zo %s\n' "$command"
    "$zo" help "$command" | verbatim
done
printf '.SH SEE ALSO\nThe README and docs/ of the source.\n'
