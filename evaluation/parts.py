"""A part of a section for each target, as many as a page has room for."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from evaluation.section import folded, joined, paragraph, spoken
from evaluation.target import MACRO

# A page that is mailed, or printed, does not hold every number of fifty groups and findings.
MOST_CELLS = 1500


def parts(
    targets: Sequence[str], render: Callable[[str], Markup], cells: int, file: str
) -> Markup:
    """A part for each target: the first is open, the others open on demand.

    Args:
        targets: In the order of the page.
        render: Makes the part of one target; an empty one is left out.
        cells: About how many numbers one part holds; what does not fit is left out, and said.
        file: Name of the table that holds all of them.
    """
    if list(targets) == [""]:
        return render("")
    room = max(1, MOST_CELLS // max(cells, 1))
    made = [(named(target), render(target)) for target in targets[:room]]
    shown = [(name, body) for name, body in made if body]
    opened = [
        Markup("<h3>{}</h3>{}").format(name[:1].upper() + name[1:], body)
        for name, body in shown[:1]
    ]
    closed = [folded(name, body) for name, body in shown[1:]]
    left = len(targets) - room
    note = f"There is no room for {left} more here; they are in tables/{file}.csv."
    return joined([*opened, *closed, *([paragraph(note)] if left > 0 else [])])


def of_target(target: str) -> str:
    """Whose number it is, within a sentence; nothing if there is only one target.

    >>> of_target("macro"), of_target("pneumonia"), of_target("")
    (' of the mean of all', ' of pneumonia', '')
    """
    return (" of the " if target == MACRO else " of ") + named(target) if target else ""


def named(target: str) -> str:
    """A target's name in a list of several.

    >>> named("pleural_effusion"), named("")
    ('pleural effusion', 'all classes')
    """
    return spoken(target) or "all classes"
