"""``napari-crii project``: folders in which work on scans is kept, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._output import JsonOption, note, write_json
from napari_crii.cli.project_review import Folder, ReadingOption, agree, sign
from napari_crii.errors import CriiError, ProjectError

if TYPE_CHECKING:
    from napari_crii.classes import LabelClass
    from napari_crii.session.project import Project

app = typer.Typer(
    name="project",
    help="Keep scans, masks and every correction in a folder.",
    epilog="Example: napari-crii project new hearts --classes ventricle",
    no_args_is_help=True,
)

app.command(epilog='Example: napari-crii project sign hearts case-001 --by "reader 1"')(sign)
app.command(epilog="Example: napari-crii project agree hearts case-001 --maps maps")(agree)

Reader = Annotated[str, typer.Option(help="Who corrects; appears in exports.")]


@app.command(epilog="Example: napari-crii project new hearts --classes ventricle,myocardium")
def new(
    folder: Folder,
    classes: Annotated[
        str,
        typer.Option(metavar="NAME,NAME", help="Classes 1, 2, ...; 7:NAME gives an id, to 65535."),
    ],
    name: Annotated[str, typer.Option(help="Of the project; the folder's name if left out.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a project in a new or empty folder."""
    from napari_crii.session.project import Project

    chosen = parse_classes(classes)
    Project.create(folder, name or folder.absolute().name, chosen)
    facts = {"project": str(folder), "classes": {c.name: c.id for c in chosen}}
    counted = f"{len(chosen)} class{'es' if len(chosen) != 1 else ''}"
    _tell(facts, f"Made a project with {counted} in {folder}.", as_json)


@app.command(epilog="Example: napari-crii project add hearts scan.nii.gz")
def add(
    folder: Folder,
    files: Annotated[
        list[Path],
        typer.Argument(readable=False, metavar="FILE...", help="Scans, or weights *.safetensors."),
    ],
    patient: Annotated[str, typer.Option(help="A pseudonym for whose scans they are.")] = "",
    name: Annotated[str, typer.Option(help="Of the case; for a single scan.")] = "",
    copy: Annotated[bool, typer.Option("--copy", help="Copy the scans into the project.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Enter scans as cases, or add weights.

    Whether a patient trains or validates is fixed here: the first trains, of every five from the
    second on the first one validates.
    """
    from napari_crii.session.project import Project

    if name and len(files) > 1:
        raise ProjectError("--name names a single scan: add the scans one by one")
    added: list[dict[str, Any]] = []
    with Project.open(folder) as project:
        for path in files:
            try:
                added.append(_add_one(project, path, name, patient, copy))
            except CriiError:
                for one in added:
                    note(f"Added before that: {_added_in_words(one)}")
                raise
    _tell({"added": added}, "\n".join(map(_added_in_words, added)), as_json)


def _add_one(project: Project, path: Path, name: str, patient: str, copy: bool) -> dict[str, Any]:
    """Add a scan or weights, and say what became of them."""
    if path.suffix == ".safetensors":
        return {"file": str(path), "checkpoint": project.weights.add(path)}
    record = project.add_scan(path, name, patient, copy)
    side = {"patient": record.patient, "validation": record.validation}
    return {"file": str(path), "case": record.name, **side}


def _added_in_words(one: dict[str, Any]) -> str:
    return f"{one['file']}: {one.get('case') or one['checkpoint'][:16]}"


@app.command(epilog="Example: napari-crii project status hearts")
def status(folder: Folder, reading: ReadingOption = 1, as_json: JsonOption = False) -> None:
    """Tell what a project holds and how far each case has come; changes nothing."""
    from napari_crii.session.project import Project
    from napari_crii.session.report import status as status_of

    with Project.open(folder, reading=reading, read_only=True) as project:
        facts = status_of(project)
    _tell(facts, _table(facts), as_json)


@app.command(epilog="Example: napari-crii project verify hearts")
def verify(folder: Folder, as_json: JsonOption = False) -> None:
    """Check journal, scans and weights against their digests; exit code 2 if any differs.

    A damaged journal is never opened; `salvage` makes a new project of what is intact.
    """
    from napari_crii.session.project import Project
    from napari_crii.session.report import problems

    with Project.open(folder, read_only=True) as project:
        found, entries = problems(project), project.saved.number
        cases = len(project.records.cases)
    if found:
        for sentence in found[1:]:
            note(sentence)
        raise ProjectError(found[0])
    facts = {"project": str(folder), "entries": entries, "cases": cases, "problems": []}
    _tell(facts, f"Intact: {entries} entries, {cases} cases with their scans.", as_json)


@app.command("salvage", epilog="Example: napari-crii project salvage hearts hearts-2")
def salvage_project(
    folder: Folder,
    new: Annotated[Path, typer.Argument(readable=False, metavar="NEW", help="A new folder.")],
    as_json: JsonOption = False,
) -> None:
    """Make a new project of all that is intact in a damaged one, which stays as it is."""
    from napari_crii.session.salvage import salvage

    found = salvage(folder, new)
    if found.damage:
        note(f"Found: {found.damage}")
    facts = {"entries": found.kept, "damage": found.damage}
    _tell(facts, f"Kept {found.kept} entries in {new}.", as_json)


@app.command("export", epilog="Example: napari-crii project export hearts dataset --as nnunet")
def export_masks(
    folder: Folder,
    to: Annotated[Path, typer.Argument(readable=False, metavar="TO", help="A new folder.")],
    layout: Annotated[
        str, typer.Option("--as", metavar="LAYOUT", help="masks, nnunet or msd.")
    ] = "masks",
    cases: Annotated[list[str] | None, typer.Option("--case", help="Only this one.")] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Cases that are not finished, too.")
    ] = False,
    reading: ReadingOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Write masks in their scans' geometry, each with its provenance; changes nothing.

    A case is finished when it is signed or all its slices are accepted.
    """
    from napari_crii.session.export import Layout, export
    from napari_crii.session.project import Project

    if layout not in list(Layout):
        raise ProjectError(f"{layout} is no layout: choose masks, nnunet or msd")
    with Project.open(folder, reading=reading, read_only=True) as project:
        done = export(project, to, Layout(layout), cases or (), unfinished)
    if done.left_out:
        note(f"Left out, not finished: {', '.join(done.left_out)}")
    facts = {"cases": done.cases, "left_out": done.left_out, "files": done.files}
    _tell(facts, f"Wrote {len(done.cases)} cases to {to}.", as_json)


@app.command("import", epilog="Example: napari-crii project import hearts case-001 mask.nii.gz")
def import_mask(
    folder: Folder,
    case: Annotated[str, typer.Argument(metavar="CASE", help="Name of the case.")],
    mask: Annotated[Path, typer.Argument(readable=False, metavar="MASK", help="A label image.")],
    reader: Reader = "",
    reading: ReadingOption = 1,
    every_slice: Annotated[
        bool, typer.Option("--every-slice", help="Slices without any label, too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take an expert's mask into a case: each slice that holds a label becomes a seed."""
    from napari_crii.io import read_mask
    from napari_crii.session.project import Project
    from napari_crii.volume import to_slices

    with Project.open(folder, reader, reading=reading) as project:
        opened = project.open_case(case)
        labels, _ = read_mask(mask, like=opened.volume)
        slices = to_slices(labels, opened.volume.slice_axis)
        known = {0, *(c.id for c in project.records.classes)}
        foreign = sorted(set(slices.ravel().tolist()) - known)
        if foreign:
            raise ProjectError(f"{mask} holds label {foreign[0]}, which is no class of the project")
        taken = [i for i in range(len(slices)) if every_slice or slices[i].any()]
        if not taken:
            raise ProjectError(f"{mask} is empty: no slice of it holds a label")
        opened.seed_slices({index: slices[index] for index in taken})
    _tell({"case": case, "slices": taken}, f"Took {len(taken)} slices into {case}.", as_json)


def parse_classes(text: str) -> tuple[LabelClass, ...]:
    """Return the classes that ``NAME,NAME`` or ``ID:NAME,ID:NAME`` names.

    Raises
    ------
    ProjectError
        If an id is no number.
    """
    from dataclasses import replace

    from napari_crii.classes import numbered_classes

    parts = [part.strip().rpartition(":") for part in text.split(",")]
    if not all(name for _, _, name in parts):
        raise ProjectError(f"'{text}' are no names of classes: separate them with commas")
    classes = numbered_classes([name for _, _, name in parts])
    if not all(number.isdecimal() for number, colon, _ in parts if colon):
        raise ProjectError(f"'{text}' holds an id that is no number: write 7:NAME")
    return tuple(
        replace(c, id=int(number)) if number else c
        for c, (number, _, _) in zip(classes, parts, strict=True)
    )


def _tell(facts: dict[str, Any], words: str, as_json: bool) -> None:
    if as_json:
        write_json(facts)
    else:
        typer.echo(words)


def _table(facts: dict[str, Any]) -> str:
    head = f"{facts['name']}: {len(facts['cases'])} cases"
    if facts["open_for_writing_by"]:
        head += f", open for writing by {facts['open_for_writing_by']}"
    return "\n".join([head, *(_line(case) for case in facts["cases"])])


def _line(case: dict[str, Any]) -> str:
    slices = ", ".join(f"{count} {kind}" for kind, count in case["slices"].items())
    side = "validates" if case["validation"] else "trains"
    signed = f", signed by {case['signed_by']}" if case["signed_by"] else ""
    who = f"{case['case']:<16} {case['patient']:<16} {side:<10}"
    return f"{who} {case['progress']:<12} {slices}; {case['edits']} edits{signed}"
