"""One order of events; and an attempt whose end nobody saw is settled before anything is built on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from remediate.checker.record import Record, conclusive
from remediate.model.event import Body, Decided, Intent, Outcome, Probed, RunTaken, Verb, Verified
from remediate.model.step import Status, StepClass

_REPEATABLE = (StepClass.TOKENED, StepClass.STATE_BASED)


def intents_first(record: Record) -> Iterator[str]:
    """V5: each outcome has an intent before it, and one intent has one outcome."""
    open_: set[tuple[Verb, str, str, int]] = set()
    for body in record.bodies:
        match body:
            case Intent(verb=verb, step=step, target=target, attempt=attempt):
                open_.add((verb, step, target, attempt))
            case Outcome(verb=verb, step=step, target=target, attempt=attempt):
                if (verb, step, target, attempt) not in open_:
                    yield f"{verb.value} of {step} on {target} (attempt {attempt}) ended without an intent"
                open_.discard((verb, step, target, attempt))
            case _:
                pass


def one_sequence(record: Record) -> Iterator[str]:
    """V6: one runner at a time writes one sequence; a second one would leave a gap or a repetition."""
    for expected, event in enumerate(record.events, 1):
        if event.number != expected:
            yield f"event {event.number} stands where {expected} belongs"
            return


def one_decision(record: Record) -> Iterator[str]:
    """V7: one decision for each attempt."""
    for step, target in record.cells:
        settled: dict[int, str] = {}
        for _, body in record.of((step, target)):
            match body:
                case Outcome(verb=Verb.APPLY, attempt=attempt, result=result):
                    word = result.status.value
                    if result.status is Status.IN_DOUBT:
                        continue
                case Probed(verb=Verb.APPLY, attempt=attempt, verdict=verdict) if conclusive(verdict):
                    word = f"probed {verdict.value}"
                case _:
                    continue
            if attempt in settled:
                yield f"{step} on {target}, attempt {attempt}: {settled[attempt]}, then {word}"
            settled[attempt] = word


def no_blind_repeat(record: Record) -> Iterator[str]:
    """V8, and step classes: a step in doubt is settled by a probe or a person before anything else is done
    on it, and only what may be repeated is."""
    takeovers = [place for place, body in enumerate(record.bodies) if isinstance(body, RunTaken)]
    for step, target in record.cells:
        planned = record.step(step)
        watch = _Watch(planned.step_class if planned else StepClass.OPAQUE)
        for place, body in record.of((step, target)):
            watch.taken_over(place, takeovers)
            if problem := watch.effect(place, body):
                yield f"{step} on {target} {problem}"
            watch.told(body)


@dataclass
class _Watch:
    """What is known of the last attempt of one step on one target."""

    step_class: StepClass
    begun: int = 0
    in_flight: int | None = None
    """Where its intent stands, while no outcome follows."""
    doubt: bool = False
    decided: bool = False

    def taken_over(self, place: int, takeovers: list[int]) -> None:
        """Whoever takes a run over knows nothing of what was in flight."""
        if self.in_flight is not None and any(self.in_flight < taken < place for taken in takeovers):
            self.doubt, self.in_flight = True, None

    def effect(self, place: int, body: Body) -> str:
        """What is wrong with beginning this now; empty if nothing is."""
        problem = ""
        match body:
            case Intent(verb=Verb.APPLY):
                if self.doubt:
                    problem = "was begun again while its last attempt was in doubt"
                elif self.begun and self.step_class not in _REPEATABLE:
                    problem = f"was begun again, though it is of class {self.step_class.value}"
                self.begun, self.in_flight, self.doubt, self.decided = self.begun + 1, place, False, False
            case Intent(verb=Verb.UNDO) if self.doubt:
                problem = "was undone while it was in doubt"
            case Verified() if self.doubt:
                problem = "was verified while it was in doubt"
            case _:
                pass
        return problem

    def told(self, body: Body) -> None:
        """What settles it, or puts it in doubt."""
        match body:
            case Outcome(verb=Verb.APPLY, result=result):
                self.doubt, self.in_flight = result.status is Status.IN_DOUBT, None
            case Decided():
                self.decided = True
            case Probed(verb=Verb.APPLY, verdict=verdict, after=after):
                # A person's word holds as soon as the target could be read.
                if conclusive(verdict) or (self.decided and after is not None):
                    self.doubt, self.in_flight = False, None
            case _:
                pass
