"""Cases of complex numbers and Fourier transforms, as speech and audio models use them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .case import OpCase, case, numbers

SIGNAL = numbers("audio/signal", [2, 24])
GRID = numbers("audio/grid", [2, 4, 6])
OTHER = numbers("audio/other", [2, 4, 6])


def parts(value):
    return [tf.math.real(value), tf.math.imag(value)]


def transforms() -> list[OpCase]:
    signal = tf.signal

    def all_of(a, b):
        z = tf.complex(a, b)
        return [part for f in (signal.fft, signal.ifft, signal.fft2d, signal.ifft2d) for part in parts(f(z))]

    return [
        case("fourier_complex", all_of, GRID, OTHER),
        case("fourier_complex_3d", lambda a, b: [*parts(signal.fft3d(tf.complex(a, b))), *parts(signal.ifft3d(tf.complex(a, b)))], GRID, OTHER),
        case("fourier_lengths", lambda a: [part for n in (1, 2, 7, 16, 24, 30) for part in parts(signal.rfft(a, [n]))], SIGNAL),
        case("fourier_back", lambda a, b: [signal.irfft(tf.complex(a, b), [n]) for n in (1, 5, 10, 12)], GRID, OTHER),
        case("fourier_real_2d", lambda a: parts(signal.rfft2d(a, [3, 8])), GRID),
        case("fourier_back_2d", lambda a, b: signal.irfft2d(tf.complex(a, b), [4, 10]), GRID, OTHER),
        case("fourier_real_3d", lambda a: [*parts(signal.rfft3d(a)), signal.irfft3d(signal.rfft3d(a))], GRID[None]),
        case("fourier_double", lambda a: parts(signal.rfft(tf.cast(a, tf.float64))), SIGNAL),
    ]


def numbers_of_two_parts() -> list[OpCase]:
    constant = tf.constant([[1 + 2j, -3j, 0.5, 2, 1j, -1]], tf.complex64)

    def arithmetic(a, b):
        x, y = tf.complex(a, b), tf.complex(b, a)
        values = [x + y, x - y, x * y, x / (y + 10), -x, tf.math.conj(x), tf.square(x), tf.exp(x), x * tf.constant(constant.numpy())]
        return [part for value in values for part in parts(value)] + [tf.abs(x), tf.math.angle(x)]

    def movement(a, b):
        x = tf.complex(a, b)
        values = [
            tf.transpose(x, [0, 2, 1]),
            tf.reshape(x, [-1, 3]),
            x[:, 1:3, ::2],
            tf.concat([x, x], 1),
            tf.stack([x, x], 1),
            tf.gather(x, [1, 0], axis=1),
            tf.pad(x, [[0, 0], [1, 0], [0, 2]]),
            tf.reduce_sum(x, 1),
            tf.expand_dims(x, 1),
            tf.split(x, 2, axis=1)[1],
        ]
        return [part for value in values for part in parts(value)]

    return [
        case("complex_arithmetic", arithmetic, GRID, OTHER),
        case("complex_movement", movement, GRID, OTHER),
        case("complex_casts", lambda a: [*parts(tf.cast(a, tf.complex64)), tf.cast(tf.cast(a, tf.complex64) * 2, tf.float32)], GRID),
    ]


def speech() -> list[OpCase]:
    samples = numbers("audio/samples", [2, 200])

    def features(a):
        spectrum = tf.abs(tf.signal.stft(a, 32, 16, 64))
        mel = tf.tensordot(spectrum, tf.signal.linear_to_mel_weight_matrix(8, 33, 8000, 60.0, 3800.0), 1)
        log = tf.math.log(mel + 1e-3)
        return [log, tf.signal.mfccs_from_log_mel_spectrograms(log)[..., :5]]

    def back(a):
        spectrum = tf.signal.stft(a, 32, 16, pad_end=True)
        return tf.signal.inverse_stft(spectrum, 32, 16, window_fn=tf.signal.inverse_stft_window_fn(16))

    return [
        case("speech_features", features, [samples, samples[:1, :90]], shapes=[[None, None]]),
        case("speech_back", back, samples),
    ]


def cases() -> list[OpCase]:
    return [*transforms(), *numbers_of_two_parts(), *speech()]
