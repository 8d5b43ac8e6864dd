#!/usr/bin/env bash
# The worked case: Albania asks who may receive a nominal request for a controlled delivery through four States.
# Makes the States' laws out of the packs in the folder DIR (default: worked-case), and asks. Nothing is sent or signed;
# README.md explains it. Needs `valise` and `python3` in the PATH.
set -euo pipefail
packs=$(cd "$(dirname "$0")/.." && pwd)
here=${1:-worked-case}
if [ -e "$here/laws" ]; then
  echo "$here/laws is there already: name another folder, or take it away." >&2
  exit 1
fi
mkdir -p "$here/laws"

members() {
  python3 -c 'import json, sys
for group in json.load(open(sys.argv[1]))["groups"]:
    if group["id"] == sys.argv[2]: print(*group["members"])' "$packs/network/network.json" "$1"
}

# Members of the Union begin with eu.toml, the other members of the Council of Europe with coe.toml. Where there is an
# example of a State's own law, its conditions go below. Kazakhstan, Tajikistan and Uzbekistan have invented laws; whoever
# else is in neither organisation has signed none, and takes no part. To be quick, all others are copies of two drafts.
valise law new --state fr --from "$packs/eu.toml" --out "$here/laws/fr.toml" >/dev/null
valise law new --state gb --from "$packs/coe.toml" --out "$here/laws/gb.toml" >/dev/null
union=" $(members eu) "
for state in $(members coe); do
  model=gb
  case "$union" in *" $state "*) model=fr ;; esac
  [ "$state" = "$model" ] && continue
  sed "s/^state = \"$model\"/state = \"$state\"/" "$here/laws/$model.toml" >"$here/laws/$state.toml"
  if [ -f "$packs/$state.toml" ]; then
    sed -n '/^\[\[condition\]\]/,$p' "$packs/$state.toml" >>"$here/laws/$state.toml"
  fi
done
cp "$packs/kz.toml" "$packs/tj.toml" "$packs/uz.toml" "$here/laws"

ask() {
  valise law decide "$1" --from al --laws "$here/laws" --at 2026-12-01T00:00:00Z "${@:2}" 2>&1
}

echo "1. Albania's request as drafted: who may receive it, and what would make each denial lawful"
ask "$packs/cases/albania.json"

echo
echo "2. The same with the changes named: seized at the destination, a German translation, safeguards, an undertaking"
python3 - "$packs/cases/albania.json" >"$here/mended.json" <<'PYTHON'
import json, sys
request = json.load(open(sys.argv[1]))
request["notice"]["terms"] |= {"final_interception": True, "languages": ["de", "en", "sq"]}
request["label"]["conditions"] = [
    {"code": "no-death-penalty-use"},
    {"code": "transfer-basis", "values": ["safeguards"]},
]
print(json.dumps(request))
PYTHON
ask "$here/mended.json" --to it --to at --to de --to nl --to be --to kz --to tj --to uz

echo
echo "3. Montenegro drafts a shorter retention, 30 days, and simulates it over past notices (invented)"
sed 's/days = 365/days = 30/' "$here/laws/me.toml" >"$here/me-draft.toml"
valise law simulate "$here/me-draft.toml" --statements "$packs/cases/past.json" --laws "$here/laws" \
  --at 2026-12-01T00:00:00Z --enter 2>&1
grep '^simulation' "$here/me-draft.toml"
