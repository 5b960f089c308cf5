# Sourced by tests/canary/run and tests/lint/canaries.sh.
# plant FILE EXPRESSION: applies the sed expression to the file, one substitution after the other, because each must
# change something. Sets `stale` to the first one that changes nothing, or to nothing. Fails if it is no sed expression.
# shellcheck shell=bash
plant() {
    local file=$1 expression=$2 piece before
    before=$(mktemp)
    stale=""
    while [ -n "$expression" ]; do
        piece=${expression%%;s/*}
        expression=${expression#"$piece"} expression=${expression#;}
        cp "$file" "$before"
        sed -i "$piece" "$file" || { rm -f "$before"; return 1; }
        if cmp -s "$before" "$file"; then
            stale=${stale:-$piece}
        fi
    done
    rm -f "$before"
}
