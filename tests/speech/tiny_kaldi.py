"""Writes a Kaldi model of a few kilobytes that Vosk loads and that tells words spelled in sine tones apart.

No training: with as many cepstra as mel bands and no lifter an MFCC is an orthonormal cosine transform of
log mel energies, so that the weights of the acoustic model can be written down in mel space. A word is one
tone, or several in a row. It tells tones apart, not speech.

    python -m tests.speech.tiny_kaldi FOLDER
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RATE = 16_000
BANDS = 40
LOW_HZ, HIGH_HZ = 20.0, 7600.0
TONE_BANDS = (6, 12, 18, 24, 30)
"""Mel bands in the middle of which the tones lie, far enough apart not to touch each other's."""
WORDS: dict[str, tuple[int, ...]] = {
    "加我": (0,),
    "微信": (1,),
    "转账": (2,),
    "hello": (3,),
    "验证码": (1, 2, 3),
}
"""Words by the tones they are spelled in."""
UNKNOWN = "[unk]"
UNKNOWN_TONE = 4
"""The tone of a word that is none."""
TONE_S, PAUSE_S = 0.3, 0.25
WORD_COST = 4.0
STAY_COST = 1.0
"""Of a frame more in the first state of a phone: there is no reason to stay in it."""
SILENCE_PDF = 0
SILENCE_PHONE = 1
POSITIONS = ("singleton", "begin", "internal", "end")

MFCC = """\
--use-energy=false
--sample-frequency=16000
--num-mel-bins=40
--num-ceps=40
--low-freq=20
--high-freq=7600
--cepstral-lifter=0
--dither=0
--allow-upsample=true
"""
# Without silence phones Kaldi aborts at the first sound; the acoustic scale would be 0.1.
MODEL = """\
--min-active=200
--max-active=3000
--beam=13.0
--lattice-beam=6.0
--acoustic-scale=1.0
--frame-subsampling-factor=3
--endpoint.silence-phones=1
--endpoint.rule2.min-trailing-silence=0.5
--endpoint.rule3.min-trailing-silence=0.75
--endpoint.rule4.min-trailing-silence=1.0
"""


def mel(hertz: float) -> float:
    """Kaldi's mel scale."""
    return 1127.0 * math.log(1.0 + hertz / 700.0)


def tone_hz(tone: int) -> float:
    """The frequency in the middle of a tone's band."""
    step = (mel(HIGH_HZ) - mel(LOW_HZ)) / (BANDS + 1)
    return 700.0 * (math.exp((mel(LOW_HZ) + (TONE_BANDS[tone] + 1) * step) / 1127.0) - 1.0)


def spoken(words: Iterable[str], rate: int = RATE, level: float = 8000.0) -> np.ndarray:
    """Words in tones with pauses around them, int16."""
    silence = np.zeros(round(PAUSE_S * rate))
    parts = [silence]
    for word in words:
        for tone in WORDS[word] if word != UNKNOWN else (UNKNOWN_TONE,):
            t = np.arange(round(TONE_S * rate)) / rate
            fade = np.minimum(1.0, np.minimum(t, TONE_S - t) / 0.01)
            parts.append(level * fade * np.sin(2 * np.pi * tone_hz(tone) * t))
        parts.append(silence)
    return np.concatenate(parts).astype(np.int16)


def write(folder: Path, model: str = MODEL) -> Path:
    """Writes the six files; model: the text of conf/model.conf. Gives the folder back."""
    for name in ("am", "conf", "graph/phones"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "mfcc.conf").write_text(MFCC)
    (folder / "conf" / "model.conf").write_text(model)
    (folder / "am" / "final.mdl").write_text(_acoustic_model())
    (folder / "graph" / "HCLG.fst").write_bytes(_graph())
    names = ["<eps>", *WORDS, UNKNOWN, "<s>", "</s>", "#0"]
    lines = "".join(f"{name} {number}\n" for number, name in enumerate(names))
    (folder / "graph" / "words.txt").write_text(lines, encoding="utf-8")
    phones = [f"{SILENCE_PHONE} nonword\n"]
    phones += [
        f"{_phone(tone, position)} {position}\n" for tone in range(len(TONE_BANDS)) for position in POSITIONS
    ]
    (folder / "graph" / "phones" / "word_boundary.int").write_text("".join(phones))
    return folder


def _phone(tone: int, position: str) -> int:
    return SILENCE_PHONE + 1 + tone * len(POSITIONS) + POSITIONS.index(position)


def _phones() -> int:
    return SILENCE_PHONE + len(TONE_BANDS) * len(POSITIONS)


def _pdf(phone: int) -> int:
    return SILENCE_PDF if phone == SILENCE_PHONE else 1 + (phone - SILENCE_PHONE - 1) // len(POSITIONS)


def _acoustic_model() -> str:
    """Two states per phone, both with the pdf of its tone; text, which Kaldi reads as well."""
    phones = range(1, _phones() + 1)
    triples = [(phone, state, _pdf(phone)) for phone in phones for state in (0, 1)]
    states = "".join(
        f"<State> {state} <PdfClass> {state} <Transition> {state} 0.5 <Transition> {state + 1} 0.5 </State>\n"
        for state in (0, 1)
    )
    lines = "".join(f"{phone} {state} {pdf}\n" for phone, state, pdf in triples)
    halves = " ".join(["0", *["-0.693147"] * (2 * len(triples))])
    weights, biases = _scores()
    matrix = "\n".join("  " + " ".join(f"{value:.6f}" for value in row) for row in weights)
    return (
        f"<TransitionModel>\n<Topology>\n<TopologyEntry>\n<ForPhones>\n{' '.join(map(str, phones))}\n"
        f"</ForPhones>\n{states}<State> 2 </State>\n</TopologyEntry>\n</Topology>\n"
        f"<Triples> {len(triples)}\n{lines}</Triples>\n<LogProbs>\n [ {halves} ]\n</LogProbs>\n"
        "</TransitionModel>\n<Nnet3> \n"
        f"input-node name=input dim={BANDS}\n"
        "component-node name=tones component=tones input=input\n"
        "component-node name=shares component=shares input=tones\n"
        "output-node name=output input=shares\n\n"
        "<NumComponents> 2\n"
        f"<ComponentName> tones <FixedAffineComponent> <LinearParams>  [\n{matrix} ]\n"
        f"<BiasParams>  [ {' '.join(f'{value:.6f}' for value in biases)} ]\n</FixedAffineComponent>\n"
        f"<ComponentName> shares <LogSoftmaxComponent> <Dim> {len(biases)} <ValueAvg>  [ ]\n"
        "<DerivAvg>  [ ]\n<Count> 0 <NumDimsSelfRepaired> 0 <NumDimsProcessed> 0 </LogSoftmaxComponent>\n"
        "</Nnet3> <LeftContext> 0 <RightContext> 0 <Priors>  [ ]\n"
    )


def _scores() -> tuple[np.ndarray, np.ndarray]:
    """How far a tone's band rises above the mean of all; silence is what rises nowhere."""
    in_mel = np.zeros((1 + len(TONE_BANDS), BANDS))
    for tone, band in enumerate(TONE_BANDS):
        in_mel[1 + tone] = -1.0 / BANDS
        in_mel[1 + tone, band] += 1.0
    row, column = np.arange(BANDS)[:, None], np.arange(BANDS)[None, :]
    transform = math.sqrt(2.0 / BANDS) * np.cos(math.pi / BANDS * (column + 0.5) * row)
    transform[0] = math.sqrt(1.0 / BANDS)
    biases = np.full(1 + len(TONE_BANDS), -3.0)
    biases[SILENCE_PDF] = 0.0
    return in_mel @ transform.T, biases


@dataclass
class _State:
    final: float
    arcs: list[tuple[int, int, float, int]]


def _graph() -> bytes:
    """Any number of words in any order, at most one silence between two; as OpenFst writes it.

    There is one cheapest way through anything: ways of equal cost would fill a lattice without end.
    """
    # Both ends of a word are final, or no end of an utterance is found.
    states = [_State(0.0, []), _State(0.0, [])]
    after_word, after_silence = 0, 1

    def path(start: int, phones: Sequence[int], entry: tuple[int, float], end: int) -> None:
        at = start
        for number, phone in enumerate(phones):
            for hmm_state in (0, 1):
                tuple_number = 2 * (phone - 1) + hmm_state
                loop, forward = 2 * tuple_number + 1, 2 * tuple_number + 2
                word, cost = entry if number == 0 and hmm_state == 0 else (0, 0.0)
                states.append(_State(math.inf, []))
                new = len(states) - 1
                states[at].arcs.append((forward, word, cost, new))
                states[new].arcs.append((loop, 0, 0.0 if hmm_state else STAY_COST, new))
                at = new
        states[at].arcs.append((0, 0, 0.0, end))

    path(after_word, [SILENCE_PHONE], (0, 0.0), after_silence)
    for number, tones in enumerate([*WORDS.values(), (UNKNOWN_TONE,)], start=1):
        last = len(tones) - 1
        places = ["singleton"] if not last else ["begin", *["internal"] * (last - 1), "end"]
        phones = [_phone(tone, place) for tone, place in zip(tones, places, strict=True)]
        for start in (after_word, after_silence):
            path(start, phones, (number, WORD_COST), after_word)

    def text(value: str) -> bytes:
        return struct.pack("<i", len(value)) + value.encode()

    arcs = sum(len(state.arcs) for state in states)
    out = [struct.pack("<i", 2125659606), text("vector"), text("standard")]
    out.append(struct.pack("<iiQqqq", 2, 0, 3, 0, len(states), arcs))
    for state in states:
        out.append(struct.pack("<fq", state.final, len(state.arcs)))
        out += [struct.pack("<iifi", *arc) for arc in state.arcs]
    return b"".join(out)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
