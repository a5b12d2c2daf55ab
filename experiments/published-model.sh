# The steps of bitnet-2b-4t/run.sh and bitnet-large/run.sh, which read this file. They set these variables:
#   hub      the model on the hub, which the definitions name
#   here     the folder of the definitions
#   needs    what the run needs, in lines that are printed first
# The arguments are [--dry-run] [MODEL]. BITKV names the program, which is built if it is not given.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

fail() {
    echo "run.sh: $1" >&2
    exit 1
}

dry=
if [ "${1:-}" = --dry-run ]; then
    dry=--dry-run
    shift
fi
[ $# -le 1 ] || fail "give at most one model: a folder, a .gguf file or organisation/name"
model="${1:-$hub}"
case "$model" in
    -*) fail "there is no option $model: the usage is run.sh [--dry-run] [MODEL]" ;;
    *\"* | *\\* | *$'\n'*) fail "the model $model has a character that a definition cannot hold: rename it" ;;
esac
if [ -e "$model" ]; then
    model="$(cd "$(dirname "$model")" && pwd)/$(basename "$model")"
fi
if [ -n "${BITKV:-}" ] && [ -e "$BITKV" ]; then
    BITKV="$(cd "$(dirname "$BITKV")" && pwd)/$(basename "$BITKV")"
fi

cd "$root"
out="runs/$here"
echo "The model is $model. Results are written to $out."
echo "$needs"
if [ -z "${BITKV:-}" ]; then
    cargo build --release --locked --package bitkv-cli
    BITKV=target/release/bitkv
fi

# Results of two models must not meet in one folder, so the folder has a note of its model.
mkdir -p "$out"
if [ -e "$out/model" ]; then
    before="$(cat "$out/model")"
    [ "$before" = "$model" ] || fail "$out has results of $before: move the folder away, or give that model again"
elif [ -z "$dry" ]; then
    printf '%s\n' "$model" >"$out/model"
fi

# Runs `bitkv "$@"` with the run folder NAME. A finished run has a report and is left alone. An unfinished run
# resumes. A run with failed cells has a report too, and the next steps still run.
failed=
step() {
    local name="$1"
    shift
    if [ -n "$dry" ]; then
        "$BITKV" "$@" --dry-run
    elif [ -f "$out/$name/report.md" ]; then
        echo "$out/$name is finished: left alone"
    elif ! "$BITKV" "$@" --out "$out/$name"; then
        [ -f "$out/$name/report.md" ] || fail "$name stopped. The same command resumes it."
        failed="$failed $name"
    fi
}

# Makes the definition NAME of this model: a copy in which the model's place stands instead of the hub's name.
definition() {
    local text
    text="$(cat "experiments/$here/$1.toml")"
    mkdir -p "$out/definitions"
    printf '%s\n' "${text//"models = [\"$hub\"]"/"models = [\"$model\"]"}" >"$out/definitions/$1.toml"
    grep -qF "models = [\"$model\"]" "$out/definitions/$1.toml" || fail "experiments/$here/$1.toml does not name $hub"
}

definition heads
definition scorers-and-allocators
step verify verify --model "$model"
step scorers-and-allocators run "$out/definitions/scorers-and-allocators.toml"
step heads run "$out/definitions/heads.toml"
[ -z "$failed" ] || fail "cells failed in:$failed. The reasons are in the reports."
[ -n "$dry" ] || echo "The reports are report.html in $out/verify, $out/scorers-and-allocators and $out/heads."
