#!/usr/bin/env bash
# The worked case: Albania asks who may receive a nominal request for a controlled delivery through four States.
# Makes every State's law out of the packs, in DIR (default: laws), and asks; nothing is sent. README.md explains it.
set -euo pipefail
packs=$(cd "$(dirname "$0")/.." && pwd)
laws=${1:-laws}
mkdir -p "$laws"

members() {
  python3 -c 'import json, sys
for group in json.load(open(sys.argv[1]))["groups"]:
    if group["id"] == sys.argv[2]: print(*group["members"])' "$packs/network/network.json" "$1"
}

union=" $(members eu) "
for state in $(members coe); do
  baseline=coe
  case "$union" in *" $state "*) baseline=eu ;; esac
  valise law new --state "$state" --from "$packs/$baseline.toml" --out "$laws/$state.toml" >/dev/null 2>&1
  if [ -f "$packs/$state.toml" ]; then
    sed -n '/^\[\[condition\]\]/,$p' "$packs/$state.toml" >>"$laws/$state.toml"
  fi
done
cp "$packs/kz.toml" "$packs/tj.toml" "$packs/uz.toml" "$laws"

valise law decide "$packs/cases/albania.json" --from al --laws "$laws" --at 2026-12-01T00:00:00Z
