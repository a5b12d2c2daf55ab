#!/usr/bin/env bash
# Measures BitNet-b1.58-2B-4T: verifies the published claims, and runs the two definitions of this folder.
#   run.sh [--dry-run] [MODEL]    MODEL is microsoft/bitnet-b1.58-2B-4T on the hub if it is not given.
# MODEL may be a folder, a .gguf file or another name on the hub. An interrupted run resumes. --dry-run estimates
# the rows, the time and the memory on this machine. BITKV names the program, which is built if it is not given.
set -euo pipefail

hub=microsoft/bitnet-b1.58-2B-4T
here=bitnet-2b-4t
needs="It needs about 3 GB of memory, and 1.5 GB of disk: 1.2 GB for the download, the rest for results.
It takes one and a half to four hours on two cores of a server CPU with AMX, and more on a CPU without.
$0 --dry-run estimates the time and the memory on this machine."
. "$(dirname "$0")/../published-model.sh"
