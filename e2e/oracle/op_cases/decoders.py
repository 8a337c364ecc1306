"""Sequences of labels out of scores for each moment."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers, op

SCORES = numbers("decoders/scores", [9, 3, 5], -3, 3)
# No two are equal: which of two equal sequences falls out of a full beam is left open.
LONG = numbers("decoders/long", [25, 2, 6], -2, 2) + np.arange(300, dtype=np.float32).reshape(25, 2, 6) * np.float32(1.7e-5)
LENGTHS = np.array([9, 5, 1], np.int32)
FULL = np.array([25, 18], np.int32)


def cases() -> list[OpCase]:
    def greedy(name, **attributes):
        return case(f"ctc_greedy_{name}", lambda s, n: list(op("CTCGreedyDecoder", s, n, **attributes)), SCORES, LENGTHS)

    def beam(name, x=SCORES, n=LENGTHS, **attributes):
        def build(s, lengths):
            found = op("CTCBeamSearchDecoder", s, lengths, **attributes)
            return [tensor for part in found[:3] for tensor in part] + [found[3]]

        return case(f"ctc_beam_{name}", build, x, n)

    return [
        greedy("plain"),
        greedy("merged", merge_repeated=True),
        greedy("first_blank", merge_repeated=True, blank_index=0),
        beam("one", beam_width=10, top_paths=1),
        beam("three", beam_width=5, top_paths=3, merge_repeated=False),
        beam("long", LONG, FULL, beam_width=20, top_paths=2, merge_repeated=False),
        beam("wide", LONG, FULL, beam_width=100, top_paths=1),
        beam("double", LONG.astype(np.float64), FULL, beam_width=3, top_paths=3),
    ]
