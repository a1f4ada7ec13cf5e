"""The game `meeting` in its two forms."""

from __future__ import annotations

from mesocosm import Game
from mesocosm_games.meeting_options import MeetingOptions


def meeting(options: MeetingOptions) -> Game:
    """The static or the spatial meeting game."""
    if options.form == "static":
        from mesocosm_games.meeting_static import StaticMeeting

        return StaticMeeting(options)
    from mesocosm_games.meeting_spatial import SpatialMeeting

    return SpatialMeeting(options)
