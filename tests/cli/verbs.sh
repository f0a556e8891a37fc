#!/bin/sh
# Every verb shows its page, says what is wrong with its arguments, and is complete in the docs.
. "$(dirname "$0")/lib.sh"

verbs=$("$OPIML" help | sed -n 's/^  \([a-z]*\( [a-z]*\)\{0,1\}\)   *[A-Z].*/\1/p')
check "there are verbs" same "$(echo "$verbs" | grep -c .)" "$("$OPIML" help | grep -c '^  [a-z]')"

echo "$verbs" >"$tmp/verbs"
while read -r verb; do
    # shellcheck disable=SC2086
    opiml $verb -h
    check "$verb -h" status_is 0
    check "$verb -h has a synopsis" out_has "^    opiml $verb"
    check "$verb -h has exit statuses" out_has "^EXIT STATUS"
    check "$verb -h has an example" out_has "^    \\$ opiml"
    check "$verb -h keeps to 80 columns" same "$(grep -v '^    \$\|^        ' "$tmp/out" | awk \
        'length > 80' | wc -l)" 0
    cp "$tmp/out" "$tmp/page"
    # shellcheck disable=SC2086
    opiml $verb --help
    check "$verb --help is the same" cmp -s "$tmp/out" "$tmp/page"
    # shellcheck disable=SC2086
    opiml $verb --no-such-option-at-all
    check "$verb refuses unknown options" fails 2 "no option --no-such-option-at-all"
    # What the page lists is what the parser knows.
    grep '^    --[a-z]' "$tmp/page" >"$tmp/listed"
    bad=
    while read -r option value; do
        if [ -n "$value" ]; then
            # shellcheck disable=SC2086
            opiml $verb "$option"
            fails 2 "$option needs a value" || bad="$bad $option"
        else
            # shellcheck disable=SC2086
            opiml $verb "$option=1"
            fails 2 "$option takes no value" || bad="$bad $option"
        fi
    done <"$tmp/listed"
    check "$verb takes the options of its page" same "none$bad" none
    # shellcheck disable=SC2086
    opiml help $verb --form man
    check "$verb has a manual page" out_has '^\.SH NAME'
done <"$tmp/verbs"

opiml
check "no verb: usage and status 2" status_is 2
opiml help --form man
check "the program has a manual page" out_has '^\.SH VERBS'
opiml --help
check "--help lists the verbs" out_has "^  feed "
opiml --version
check "--version" out_has "^opiml [0-9]"
opiml version --json
check "version --json" same "$(json kernels | grep -c .)" 1
opiml fed x.yaml
check "a verb's nearest name" fails 2 'no verb "fed"; did you mean "feed"?'
opiml data lss
check "a second word's nearest name" fails 2 'did you mean "data ls"?'
opiml data
check "a noun alone" fails 2 "data what? It has make, ls, peek, index"
opiml feed a.yaml --epoch 2
check "an option's nearest name" fails 2 "no option --epoch; did you mean --epochs?"
opiml feed a.yaml --threads many
check "a number is a number" fails 2 '--threads is a whole number, not "many"'
opiml feed a.yaml --threads -1
check "a number's range" fails 2 "--threads is a number from 0 to"
opiml feed a.yaml --pool 12parsecs
check "a size is a size" fails 2 "--pool is a size"
opiml feed a.yaml --rank 2 --world 2
check "a rank below the world" fails 2 "not below --world"
opiml feed
check "a missing argument" fails 2 "opiml feed PIPELINE"
opiml feed a.yaml b.yaml
check "an argument too many" fails 2 '"b.yaml" is one argument too many'
opiml help no-such-verb
check "help for nothing" fails 2 'no verb "no-such-verb"'
opiml help feed x
check "help for a verb and more" fails 2 '"x" is one argument too many behind `opiml help feed`'
opiml help ops resize
check "help for an operator" fails 2 '"resize" is one argument too many; `opiml ops resize` tells'
opiml ops no_such_op
check "no such operator" fails 3 'no operator "no_such_op"'
opiml ops decod
check "an operator's nearest name" fails 3 'did you mean "decode"?'
opiml ops --json
check "ops --json" out_has '"name": "decode",$'

# Output that does not reach its place.
if [ -w /dev/full ]; then
    run sh -c "'$OPIML' help feed >/dev/full"
    check "a full disk behind standard output" fails 5 "standard output: No space left"
else
    skip "a full disk behind standard output" "no /dev/full"
fi

# Completion: the scripts parse, and bash's one completes.
for shell in bash zsh fish; do
    opiml completion $shell
    check "completion $shell" out_has epochs
    if command -v $shell >/dev/null; then
        check "$shell can read it" $shell -n "$tmp/out"
    else
        skip "$shell can read it" "no $shell"
    fi
done
opiml completion tcsh
check "completion for a shell that is not known" fails 2 "bash, zsh and fish"
complete() {
    bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _opiml
        echo "${COMPREPLY[@]}"' bash "$tmp/completion" "$@"
}
if command -v bash >/dev/null; then
    "$OPIML" completion bash >"$tmp/completion"
    check "completes a verb" same "$(complete opiml fe)" feed
    check "completes a second word" same "$(complete opiml data ma)" make
    check "completes an option" same "$(complete opiml feed --ep)" --epochs
    check "completes an operator" same "$(complete opiml ops random_fl)" random_flip
    check "completes a word, with no files" same "$(complete opiml completion "")" "bash zsh fish"
    check "completes a format to write" same "$(complete opiml data convert --format tf)" tfrecord
    check "completes a format to read" same "$(complete opiml data convert --from-format hd)" hdf5
    check "completes a format to index" same "$(complete opiml data index --format image)" image-folder
    check "completes a verb to help with" same "$(complete opiml help fe)" feed
    check "completes its second word" same "$(complete opiml help data conv)" convert
    check "completes a choice" same "$(complete opiml data make --format webd)" webdataset
else
    skip "bash completes" "no bash"
fi

# The pages under docs/verbs are what the program says.
while read -r verb; do
    page=$root/docs/verbs/$(echo "$verb" | tr ' ' -).md
    # shellcheck disable=SC2086
    opiml help $verb --form markdown
    check "docs have $verb (else run ./dev docs)" cmp -s "$tmp/out" "$page"
done <"$tmp/verbs"
opiml ops --markdown
check "docs have the operators (else run ./dev docs)" cmp -s "$tmp/out" "$root/docs/operators.md"
opiml help --form markdown
check "docs have the list of verbs (else run ./dev docs)" cmp -s "$tmp/out" \
    "$root/docs/verbs/README.md"
finish
