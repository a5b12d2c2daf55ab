#!/usr/bin/env bash
# Measures bitnet_b1_58-large: verifies the published claims, and runs the two definitions of this folder.
#   run.sh [--dry-run] [MODEL]    MODEL is 1bitLLM/bitnet_b1_58-large on the hub if it is not given.
# MODEL may be a folder, a .gguf file or another name on the hub. An interrupted run resumes. --dry-run estimates
# the rows, the time and the memory on this machine. BITKV names the program, which is built if it is not given.
set -euo pipefail

hub=1bitLLM/bitnet_b1_58-large
here=bitnet-large
needs="It needs about 2 GB of memory, and 3.2 GB of disk: 2.9 GB for the download, the rest for results.
It takes half an hour to one and a half hours on two cores of a server CPU with AMX, and more on a CPU without.
$0 --dry-run estimates the time and the memory on this machine."
. "$(dirname "$0")/../published-model.sh"
