# Shared by the tests of raft channels, on top of common.sh.
# shellcheck shell=bash

# leads INDEX, another_leads INDEX: a replica that answers knows that this one leads, or that another one does.
leads() { leader_known && [ "$(cat "$WORK/leader")" -eq "$1" ]; }
another_leads() { leader_known && [ "$(cat "$WORK/leader")" -ne "$1" ]; }

halted() { [ "$(field "$1" halted)" = true ]; }

# followers INDEX: prints the indexes of all others.
followers() { all_replicas | grep -vxF "$1"; }

# one_leader_in_a_term: all replicas, in all their lives, have known one leader in each term at most.
one_leader_in_a_term() {
    local known twice
    known=$(sed -n 's/.* event=leader .*term=\([0-9]*\) leader=\([0-9]*\).*/\1 \2/p' "$NET"/replica*/log | sort -u)
    [ -n "$known" ] || die "no log tells of a leader"
    twice=$(cut -d ' ' -f 1 <<<"$known" | uniq -d)
    [ -z "$twice" ] || die "two leaders in term $twice"
    ok "$(wc -l <<<"$known") terms had a leader, and no term had two"
}

# ends_well FILE: after the load, no term had two leaders, and all chains and ledgers have what FILE lists, once.
ends_well() {
    one_leader_in_a_term
    check_chains "$1"
    stop_cluster
    check_ledgers
}
