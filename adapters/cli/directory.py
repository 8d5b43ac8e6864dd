"""`valise directory`: the root ceremony, enrolment at a focal point's desk, and looking the directory up.

Fifteen minutes: `invite` makes a kit; the agency's `gateway init` prints eight words; `approve` compares them; `sign`;
`upload`. The desk's commands are in `enrolling`, `show` and `verify` in `looking`.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.cli import enrolling, founding, looking, role_keys
from adapters.cli.deployment import Deployment
from adapters.cli.key import PUBLIC
from adapters.cli.terminal import terminal
from keys.custody import durable
from keys.custody.file import FileCustody
from keys.custody.passphrase import passphrase_from
from keys.directory.ceremony import RoleKeys, TufKey, TufPublic
from schemas import ids
from schemas.errors import FormError
from schemas.ids import Role
from schemas.rules.network import default_network, parse_network

app = typer.Typer(help="Found a directory, enrol participants, look them up.", no_args_is_help=True)

ROOT_KEY: Final = "root"
FOUNDING: Final = "founding"


@app.command()
def init(
    origin: Annotated[str, typer.Option(help="Origin line of the log, such as valise.example/exchange.")],
    broker: Annotated[str, typer.Option(metavar="URL", help="Address of the broker, without /v1.")],
    broker_public: Annotated[Path, typer.Option(metavar="FILE", help="Public keys of the operator.", exists=True)],
    root_passphrase_file: Annotated[
        list[Path], typer.Option(metavar="FILE", help="One a root holder, each with a passphrase of its own.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the outcome is written.", file_okay=False)],
    role: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Keys of a State: valise directory role.")
    ] = None,
    threshold: Annotated[int, typer.Option(min=1, help="How many root holders must sign.")] = 3,
    network: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Network rules; the founding ones if none.")
    ] = None,
) -> None:
    """Hold the root ceremony: make the holders' keys, sign root and targets, delegate to each State."""
    operator = founding.Operator.parse(broker_public.read_bytes())
    if operator.origin != ids.origin(origin):
        raise FormError("The operator's keys are for another origin.", pointer="/origin")
    rules = default_network() if network is None else network.read_bytes()
    parse_network(rules)
    roles = [role_keys.parse(path.read_bytes()) for path in role or ()]
    durable.make_folder(out)
    holders = [_holder(out / f"root-{n}", file) for n, file in enumerate(root_passphrase_file, 1)]
    founded = founding.found(operator, holders, roles, rules, threshold=threshold, now=enrolling.now())
    deployment = Deployment(operator.origin, broker, founded.root)
    for name, data in founded.files().items():
        path = out / FOUNDING / name
        durable.make_folder(path.parent)
        durable.write(path, data)
    durable.write(out / "deployment.json", deployment.encode())
    terminal().record(
        {
            "origin": deployment.origin,
            "fingerprint": deployment.fingerprint,
            "threshold": f"{threshold} of {len(holders)}",
            "roles": [keys.role for keys in roles],
            "founding": str(out / FOUNDING),
            "deployment": str(out / "deployment.json"),
        },
        shown=[
            ("Origin", "origin"),
            ("Root fingerprint", "fingerprint"),
            ("Root holders", "threshold"),
            ("Delegated to", "roles"),
            ("For the operator", "founding"),
            ("For everybody", "deployment"),
        ],
    )
    terminal().say("Take each root-N folder and its passphrase away to its holder, apart from the others.")


@app.command()
def role(
    name: Annotated[str, typer.Argument(metavar="ROLE", help="fr, int-unodc or audit.")],
    public: Annotated[list[Path], typer.Option(metavar="FILE", help="Public half of a key of the role.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: ROLE.role.json.")] = None,
    law_public: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Of the law: legal officer's, focal point's.")
    ] = None,
    threshold: Annotated[int, typer.Option(min=1, help="How many of the role's keys must sign.")] = 1,
) -> None:
    """Put a role's public keys into a file for the root holders."""
    law = [_public(path) for path in law_public or ()]
    if law and len(law) != 2:
        raise FormError("A law has exactly two keys.", pointer="/law-public")
    pair = (law[0], law[1]) if law else None
    keys = RoleKeys(Role(name), tuple(map(_public, public)), pair, threshold)
    path = out or Path(f"{name}.role.json")
    durable.write(path, role_keys.encode(keys))
    terminal().record({"role": name, "file": str(path)}, shown=[("Role", "role"), ("File", "file")])


for _command in (enrolling.invite, enrolling.approve, enrolling.sign, enrolling.upload, looking.show, looking.verify):
    app.command()(_command)


def _holder(folder: Path, file: Path) -> TufKey:
    if folder.exists():
        raise FileExistsError(17, "There is a root holder's folder already", str(folder))
    custody = FileCustody(folder, passphrase_from(file=file))
    key = TufKey.generate()
    custody.keep(ROOT_KEY, key.to_bytes())
    durable.write(folder / f"{ROOT_KEY}{PUBLIC}", key.public.encode())
    return key


def _public(path: Path) -> TufPublic:
    return TufPublic.parse(path.read_bytes())
