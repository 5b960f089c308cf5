#!/usr/bin/env bash
# A first primary that proposes late is replaced, so no invariant of service is violated. ordain-sim --search found it.
# Usage: sim_late.sh ORDAIN_SIM
set -euo pipefail
sim=$1
"$sim" --service --seed 519 --liars slow
"$sim" --service --seed 519 --genome 'pre-prepare/all/any/delay:300/100%'
"$sim" --service --seed 7009 --genome 'pre-prepare/all/leading/delay:731/100%'
