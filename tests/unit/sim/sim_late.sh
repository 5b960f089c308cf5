#!/usr/bin/env bash
# No invariant of service is violated by these liars, all of which ordain-sim --search found: a first primary that
# proposes late is replaced, and one that sends everything twelve times more delays nobody but itself. The primary lies
# whatever the genesis block is (--lead).
# Usage: sim_late.sh ORDAIN_SIM
set -euo pipefail
sim=$1
"$sim" --consensus pbft --service --seed 519 --liars slow --lead
"$sim" --consensus pbft --service --seed 519 --lead --genome 'pre-prepare/all/any/delay:300/100%'
"$sim" --consensus pbft --service --seed 7009 --lead --genome 'pre-prepare/all/leading/delay:731/100%'
"$sim" --consensus pbft --service --seed 368 --genome \
    'sync/all/any/delay:600/every:1,attestation/few/any/copy:2/9%,body/all/leading/drop/100%,any/all/any/copy:12/100%'
