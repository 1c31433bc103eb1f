"""Messages: how a text is laid into FPDUs, and under which identity it goes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.pesit.codec import decode, encode
from gateway.pesit.messages import LONGEST, answering, free, parts
from gateway.pesit.transfer import Identity, identity_of

FILE = Identity(
    "FSE", 101, requester="APPA", server="APPC", created="260101120000", initial_sender="ORIGIN", final_receiver="END"
)


@pytest.mark.fact("F-136")
@given(st.integers(0, 9000), st.sampled_from([256, 1000, 4096, 4200, 65535]))
def test_a_text_comes_out_as_it_went_in(size: int, entity: int) -> None:
    text = "".join(chr(33 + at % 90) for at in range(size))
    said = parts(FILE, text, entity, answer=False)
    frames = [encode(fpdu) for fpdu in said]
    assert all(len(frame) <= entity for frame in frames)
    names = [fpdu.name for fpdu in said]
    assert names == ["MSG"] or names == ["MSGDM", *["MSGMM"] * (len(names) - 2), "MSGFM"]
    assert "".join(decode(frame).text(91) for frame in frames) == text
    assert identity_of(decode(frames[0])).transfer_id == 101
    assert all(len(following.text(91)) for _, following in pairwise(said))


@pytest.mark.fact("F-132")
def test_the_acknowledgement_of_a_file_turns_its_addresses_round() -> None:
    (said,) = parts(answering(FILE), "", 4096, answer=False)
    assert {code: said.values[code] for code in (3, 4, 11, 12, 13, 51, 61, 62)} == {
        3: "APPC", 4: "APPA", 11: 0, 12: "FSE", 13: 101, 51: "260101120000", 61: "END", 62: "ORIGIN",
    }  # fmt: skip
    assert said.values[14] == 0
    assert 91 not in said.values


@pytest.mark.fact("F-133")
def test_a_free_message_and_what_answers_it() -> None:
    (asked,) = parts(free("NOTE", 7), "question", 4096, answer=True)
    assert (asked.values[11], asked.values[12], asked.values[14]) == (0xFFFF, "NOTE", 1)
    (said,) = parts(answering(identity_of(asked)), "réponse", 4096, answer=False)
    assert (said.values[11], said.values[12], said.values[13]) == (0xFFFE, "NOTE", 7)
    assert free("NOTE", 8, back=True).file_type == 0xFFFE


@pytest.mark.parametrize("text", ["x" * (LONGEST + 1), "trop cher : 5 €"])
def test_texts_that_cannot_go(text: str) -> None:
    with pytest.raises(Refused, match="PES-VALUE"):
        [encode(fpdu) for fpdu in parts(FILE, text, 65535, answer=False)]
