"""Guardian: real-time moderation and privacy protection beside a video-call service."""

__version__ = "0.1.0"
