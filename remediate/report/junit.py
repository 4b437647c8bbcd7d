"""A proof as JUnit XML, which every CI system shows: one test case for each way of failing."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from remediate.model.proof import CaseResult, Ending, Proof
from remediate.report.proof import case_name, summary
from remediate.report.safe import LONG, safe

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def junit(proof: Proof) -> bytes:
    """The whole file, UTF-8."""
    failed = sum(r.ending in (Ending.NOT_RESTORED, Ending.NOT_BROKEN) for r in proof.results)
    skipped = sum(r.ending is Ending.IRREVERSIBLE for r in proof.results) + proof.left_out
    counts = {
        "tests": str(len(proof.results) + proof.left_out),
        "failures": str(failed),
        "errors": "0",
        "skipped": str(skipped),
        "time": f"{sum(r.seconds for r in proof.results):.1f}",
    }
    root = Xml.Element("testsuites", counts)
    suite = Xml.SubElement(root, "testsuite", {"name": f"rollback of {proof.runbook}", **counts})
    for result in proof.results:
        _case(suite, proof, result)
    for number in range(proof.left_out):
        left = Xml.SubElement(
            suite, "testcase", {"classname": proof.runbook, "name": f"left out {number + 1}"}
        )
        Xml.SubElement(left, "skipped", {"message": _text(proof.stopped or "not tried")})
    Xml.indent(root)
    return f"{_DECLARATION}{Xml.tostring(root, encoding='unicode')}\n".encode()


def _case(suite: Xml.Element, proof: Proof, result: CaseResult) -> None:
    name = f"{case_name(result.case)}: {result.case.title}"
    case = Xml.SubElement(
        suite,
        "testcase",
        {"classname": proof.runbook, "name": _text(name), "time": f"{result.seconds:.1f}"},
    )
    if result.ending is Ending.RESTORED:
        return
    message = {"message": _text(f"{result.ending}: {summary(result)}")}
    if result.ending is Ending.IRREVERSIBLE:
        Xml.SubElement(case, "skipped", message)
        return
    failure = Xml.SubElement(case, "failure", message)
    failure.text = _text("\n".join(map(str, result.differences)) or result.why)
    Xml.SubElement(case, "system-out").text = _text("\n".join(result.log))


def _text(text: str) -> str:
    """What XML can hold: control characters made visible."""
    return safe(text, LONG, lines=True)
