"""What is heard of attempts to leave the platform, what is flagged wrongly, how late, and at what cost?"""

from guardian.bench.moderation import cost, false_alarms, heard, latency, text
from guardian.bench.script import app_of

SCRIPTS = {
    "text": text.SCRIPT,
    "heard": heard.SCRIPT,
    "false_alarms": false_alarms.SCRIPT,
    "latency": latency.SCRIPT,
    "cost": cost.SCRIPT,
}

if __name__ == "__main__":
    app_of(SCRIPTS, __doc__ or "")()
