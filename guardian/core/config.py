"""Settings the parts work by. `guardian.settings` fills them from files and the environment.

Times are seconds unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from guardian.core.frames import Mode


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """The protection chain."""

    face_threshold: float = 0.3
    """Detector score (0..1) above which something is a face. Low: recall comes first."""
    face_hold_s: float = 0.7
    """How long a face is covered after it was last seen."""
    segment_every: int = 3
    """Frames between two person masks when the picture moves."""
    hand_threshold: float = 0.7
    """Detector score (0..1) above which something is a hand. High: what is taken for one is shown."""
    hands_every: int = 5
    """Frames between two looks for hands in *product*."""
    hands_hold_s: float = 0.5
    """How long a hand is shown after it was last seen."""
    codes_every_s: float = 0.5
    """Time between two looks for codes in *install*."""
    text_every_s: float = 1.0
    """Time between two looks for text in *install*."""
    prints_late_s: float = 5.0
    """What is printed counts as unknown, and nothing shows, when it was looked for longer ago than this."""
    warm_frames: int = 3
    """Proven frames in a row before the first picture is shown."""
    hold_s: float = 0.25
    """How long the last cover may stand in for a picture; after that the curtain falls."""
    late_s: float = 0.25
    """A picture older than this when finished is not sent."""
    strict: bool = False
    """Solid fills and coarser backgrounds."""
    cards: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Texts of the curtain in place of its own: reason (`CurtainReason`) -> Chinese and English line."""


@dataclass(frozen=True, slots=True)
class SpeechConfig:
    """The hearing chain."""

    engine: str = "auto"
    """`auto`, or one engine by name: `syllables-zh`, `words-en`, `vosk-zh`, `vosk-en`, `pocketsphinx`."""
    second_opinion: str = "auto"
    """With engine `auto`: `auto` lets Vosk listen too where its model is, `off` does not."""
    vosk_zh_dir: str = ""
    """Folder of an unpacked Vosk model for Mandarin; empty: the one of role transcript-zh, if it is here."""
    vosk_en_dir: str = ""
    """The same for English and transcript-en."""
    rules_dir: str = ""
    """Folder of rule files; empty means those that come with Guardian."""
    queue_s: float = 5.0
    """Seconds of sound that may wait to be heard before chunks are refused (a lapse)."""
    on_deaf: str = "notify"
    """What to do when hearing fails: pass, notify, mute or end."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be shown: domains with all below them, and regular expressions that fit a whole text."""

    domains: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContactConfig:
    """Looking for contacts that are held up to a camera."""

    watch: tuple[str, ...] = ("shopper", "merchant")
    """Whose pictures are looked at; none: nobody's."""
    kinds: tuple[str, ...] = ("code", "text")
    """What is looked for."""
    codes_every_s: float = 0.25
    """Time between two looks for codes."""
    text_every_s: float = 1.0
    """Time between two looks for text; longer where a look takes long."""
    allow: Allowance = field(default_factory=Allowance)
    """What every merchant may show."""
    merchants: Mapping[str, Allowance] = field(default_factory=dict)
    """What one merchant may show besides, by participant."""


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """Keeping evidence of calls whose shopper agrees to it."""

    folder: str = ""
    """Where clips are written, encrypted; empty: no evidence is kept of any call."""
    public_key: str = ""
    """What their keys are sealed to, base64. A call process cannot read what it wrote."""
    ring_s: float = 15.0
    """How far back a call is kept in memory; video up to 5 s more, back to a key frame."""
    before_s: float = 10.0
    """How much of a clip lies before its cause."""
    after_s: float = 10.0
    """How much of a clip lies after its last cause."""
    longest_s: float = 60.0
    """Length above which what else happens makes another clip."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server as in RTCIceServer."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A TURN server that shares a secret with us, for credentials that hold for one call."""

    urls: tuple[str, ...]
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """Peer connections."""

    ice_servers: tuple[IceServer, ...] = ()
    """Nothing is contacted that is not listed here or in `turn`."""
    turn: tuple[TurnServer, ...] = ()
    """Never sent to a call process: it gets `ice_servers` with credentials of its own."""
    ice_transport: str = "all"
    """`all`, or `relay`: media go over TURN only."""
    udp_ports: tuple[int, ...] = ()
    """First and last port that media sockets may take; empty: any."""
    bind_addresses: tuple[str, ...] = ()
    """Addresses of this machine that media use; empty: all but loopback."""
    advertised_addresses: tuple[str, ...] = ()
    """What others reach this machine by, where that is not its own address (1:1 NAT)."""
    sfu_origins: tuple[str, ...] = ()
    """SFUs a call may be connected through, as `https://host:port`. Nothing else is contacted."""
    curtain_fps: float = 10.0
    """Pictures per second while there is nothing to show; at least 10."""
    start_bitrate: int = 1_000_000
    """Bits per second of video sent at 640x480 until the network is known; larger pictures get more."""
    min_bitrate: int = 100_000
    """However bad the network is; below what a size can carry, smaller pictures are sent."""
    max_bitrate: int = 2_500_000
    """However good the network is."""
    key_frame_every_s: float = 0.0
    """Longest time between key frames of the protected picture; 0: only when asked for."""
    budget_ms: float = 33.0
    """From the last packet of a frame in to its encoded packets out."""
    connect_s: float = 30.0
    """How long a leg may take to connect."""
    sound_wait_s: float = 0.07
    """How long sound is held up for a packet that is missing; then it goes on without."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Bounds of a call and of the host."""

    max_calls: int = 2
    """Calls at once."""
    call_size: str = "640x480"
    """The size a call is expected to have, where slots are counted from the machine."""
    headroom: float = 0.2
    """The share of the machine that is left free then."""
    client_calls: int = 1000
    """Calls of one client at once."""
    client_calls_per_min: float = 600.0
    """Calls one client may ask for in a minute."""
    max_call_s: float = 4 * 3600.0
    idle_s: float = 120.0
    """A call nobody is connected to is ended after this long."""
    token_s: float = 600.0
    """How long a leg token may be used to join."""
    start_s: float = 15.0
    """How long a call process may take to start."""
    answer_s: float = 10.0
    """How long a call process may take to answer a message."""
    beat_lost_s: float = 5.0
    """A call process that has not said anything for this long is killed."""
    lane_stuck_s: float = 5.0
    """A call process whose video lane has been in one frame for this long is killed."""
    spares: int = 1
    """Call processes that have loaded everything and wait for a call."""
    calls_per_process: int = 1
    """Calls that share a process, and its end."""
    process_mb: float = 2000.0
    """A call process that stays above so many MB of memory is killed; 0: none is."""


@dataclass(frozen=True, slots=True)
class WorkConfig:
    """Everything a call process needs to know besides the call itself."""

    vision: VisionConfig = field(default_factory=VisionConfig)
    speech: SpeechConfig = field(default_factory=SpeechConfig)
    contacts: ContactConfig = field(default_factory=ContactConfig)
    media: MediaConfig = field(default_factory=MediaConfig)
    limits: CallLimits = field(default_factory=CallLimits)
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    default_mode: Mode = Mode.PRIVATE
