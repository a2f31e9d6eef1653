"""What may leave a leg encoded is settled when it is made."""

import asyncio

import pytest

from guardian.call.legs import Sources
from guardian.callproc import leg_maker
from guardian.core.config import MediaConfig, WorkConfig
from guardian.core.lease import Lease
from guardian.core.sfu import Endpoint, Endpoints
from guardian.core.violations import Role
from guardian.rtc.peer import Outgoing, Peer
from guardian.rtc.sfu import whip


def test_a_peer_passes_on_no_video_unless_it_was_made_for_that():
    async def main():
        peer = Peer(MediaConfig(), Outgoing())
        peer.pass_on("audio", print)
        with pytest.raises(ValueError, match="not to be passed on"):
            peer.pass_on("video", print)
        await peer.close()

    asyncio.run(main())


@pytest.mark.parametrize(("role", "may"), [(Role.SHOPPER, False), (Role.MERCHANT, True)])
def test_no_leg_of_a_shopper_passes_on_video_whichever_way_it_comes(role, may, monkeypatch):
    async def meet(place, meeting, ready):
        legs.append(meeting.receiving())
        legs.append(meeting.sending())

    async def main():
        maker = leg_maker(WorkConfig(), Lease())
        sources = Sources(None, None, maker.relay(lambda: None), None, dict.fromkeys(Role))
        legs.append(maker.open(role, sources))
        await maker.meet(role, sources, Endpoints(whep=Endpoint("http://sfu/whep")), legs.append, print)
        assert [passes_video(leg) for leg in legs] == [may] * 3
        for leg in legs:
            await leg.close()

    legs = []
    monkeypatch.setattr(whip, "meet", meet)
    asyncio.run(main())


def passes_video(leg) -> bool:
    try:
        leg.pass_on("video", print)
    except ValueError:
        return False
    return True
