"""When does the meeting start, for people on their way to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm import Axis, Control, DiffusionGame, InputError, Passage
from mesocosm_games.start_options import start_inside

if TYPE_CHECKING:
    from mesocosm_games.meeting_options import MeetingOptions

_SPREAD = 6.0
"""How far the axis goes beyond the start, in units of sigma times the square root of a unit of time."""

_FASTEST = 12.0
"""Highest speed, in units of the steady speed that the steepest lateness cost asks for."""


class SpatialMeeting(DiffusionGame):
    """People walk to a meeting at 0 from x < 0, at a speed a that they choose; who arrives, stays.

        dX = a ds + sigma dW on x < 0, absorbed at 0          J = E[ c(arrival) + int a^2/2 ds ]
        c(s) = c1 (s - t)+ + c2 (s - T)+ + c3 (T - s)+,          T = max(t, the time at which a share theta has arrived)

    Who is still under way at the horizon pays c(horizon). The signal is the start time T: each of a crowd takes it as given,
    and together they decide it. Where the quorum is never reached, T is the last time of the flow.

    HJB: u_s - u_x^2/2 + sigma^2/2 u_xx = 0, u(s, 0) = c(s), u(horizon, x) = c(horizon); a = -u_x. The substitution
    u = -sigma^2 ln phi (Cole-Hopf) makes it the heat equation. FPK: m_s - (m u_x)_x = sigma^2/2 m_xx, m(s, 0) = 0.

    Equilibrium: people walk towards an arrival near t, at a speed near sqrt(2 k) where a unit of time costs k at arrival; some
    come early and wait, most come late, and the meeting starts after it was scheduled. Several roots T can exist; the
    stable one is the first above t, reached by iterating from t upwards. Known:

    - all start at -1, t 1, theta 0.8, c = (1, 1, 1), sigma 0.5: T 1.32688, u(0, -1) 0.98596;
    - start N(-3, 0.5^2), t 3, c = (2, 4, 0.5), theta 0.9, sigma 1, horizon 12: T 3.14614, share arrived at t 0.80216, mean
      value 2.78719, median arrival 2.53791.

    Speeds are at most 12 sqrt(2 max(1, c1 + c2 + c3)) in either direction, far above what pays.
    Source: O. Gueant, J.-M. Lasry, P.-L. Lions, Mean field games and applications, Paris-Princeton Lectures (2011), section 2.
    Units: length and time of the scenario; a cost of 1 is that of walking one length in half a unit of time.
    """

    channels: ClassVar[tuple[str, ...]] = ("under_way",)
    normalise: ClassVar[str] = "mean"
    signals: ClassVar[tuple[str, ...]] = ("start_time",)

    def __init__(self, options: MeetingOptions) -> None:
        if options.start is None:
            raise InputError("no start", where="game meeting", rule="form: spatial needs one, such as {point: -1}")
        self.options = options
        ((low,), _) = options.start.reach()
        self.axes = (Axis("x", min(low, 0.0) - _SPREAD * options.sigma, 0.0, "open", "absorbing"),)
        self.start = start_inside(options.start, self.axes)
        urgency = options.reputation + options.inconvenience + options.waiting
        self.limit = _FASTEST * math.sqrt(2 * max(urgency, 1.0))
        self.control = Control("speed", (), -self.limit, self.limit, neutral=0.0)

    def arrival_cost(self, time: Any, start_time: Any) -> Any:
        """c(time), when the meeting starts at `start_time`; shapes broadcast."""
        given = self.options
        late, missed, waited = time - given.scheduled, time - start_time, start_time - time
        return (
            given.reputation * _positive(late)
            + given.inconvenience * _positive(missed)
            + given.waiting * _positive(waited)
        )

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 1.0 * control

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return self.options.sigma + 0.0 * state

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        """1 for who is under way; nobody's costs depend on it, only on when others arrive."""
        return 1.0 + 0.0 * state

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 0.5 * control[..., 0] ** 2

    def exit_cost(self, t: Any, state: Any, signals: Any) -> Any:
        return self.arrival_cost(t, signals[..., 0]) + 0.0 * state[..., 0]

    def terminal_cost(self, t: Any, state: Any, field: Any, signals: Any) -> Any:
        return self.arrival_cost(t, signals[..., 0]) + 0.0 * state[..., 0]

    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        return (-gradient).clip(-self.limit, self.limit)

    def find_signals(self, passage: Passage) -> NDArray[np.float64]:
        quorum = min(passage.time_of(self.options.quorum), float(passage.times[-1]))
        return np.array([max(self.options.scheduled, quorum)])

    def scalars(self, passage: Passage, signals: Any) -> Mapping[str, float]:
        """The start time, the share arrived by the scheduled time, and when half have arrived (infinite if never)."""
        return {
            "start_time": float(signals[0]),
            "arrived_on_schedule": passage.share_at(self.options.scheduled),
            "median_arrival": passage.time_of(0.5),
        }

    def myopic_cost(self, t: Any, state: Any, field: Any) -> Any:
        """c at the arrival of one who walks at speed 1 from here and now, were the meeting to start on schedule."""
        return self.arrival_cost(t - state[..., 0], self.options.scheduled)


def _positive(value: Any) -> Any:
    return 0.5 * (value + abs(value))
