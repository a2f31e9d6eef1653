"""What a call accounts for reaches the metrics."""

import json

from guardian.call.account import Passage, PictureAccount
from guardian.core.frames import Mode, Showing, State
from guardian.core.notes import FrameNotes
from guardian.core.readiness import Readiness, Status
from guardian.telemetry.calls import CallCollector
from guardian.telemetry.metrics import Metrics

READY = Readiness(Status.READY)


def test_every_stage_of_a_call_is_a_histogram_for_prometheus():
    account = PictureAccount(33.0)
    for ms in (2.0, 9.0):
        stages = {"faces": ms / 2}
        notes = FrameNotes(State.ARMED, Mode.SELFIE, Showing.COVERED, (), 0, stages, ms)
        account.protected(notes, Passage(0.0, 0.001, 0.002, 0.01))
    status = json.loads(json.dumps(account.snapshot()))
    metrics = Metrics()
    metrics.watch(CallCollector(lambda: [status], lambda: (1, 2), lambda: READY, dict))
    text = metrics.render()[0].decode()
    for stage in ("decode", "wait", "protect", "faces"):
        assert f'guardian_stage_seconds_count{{stage="{stage}"}} 2.0' in text
    assert 'guardian_stage_seconds_sum{stage="protect"} 0.011' in text
