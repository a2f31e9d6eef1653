"""Contacts shown to a camera: which are read right, and how soon are they told and covered in a call?"""

from guardian.bench import contact_calls, contact_reading
from guardian.bench.script import app_of

if __name__ == "__main__":
    app_of({"reading": contact_reading.SCRIPT, "call": contact_calls.SCRIPT}, __doc__ or "")()
