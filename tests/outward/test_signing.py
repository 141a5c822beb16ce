import base64

import pytest

from agents.outward.signing import SecretError, SignatureError, key_of, new_secret, sign, verify

# The example of the Standard Webhooks libraries' own tests.
SECRET, ID, STAMP, BODY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_is_signed_the_same():
    assert sign(key_of(SECRET), ID, STAMP, BODY)["webhook-signature"] == SIGNATURE


def test_one_right_signature_of_several_is_enough_and_names_of_headers_may_be_written_anyhow():
    headers = {"Webhook-Id": ID, "WEBHOOK-TIMESTAMP": str(STAMP), "webhook-signature": f"v1,AAAA v2,x {SIGNATURE}"}
    verify(key_of(SECRET), headers, BODY, now=STAMP + 299)


@pytest.mark.parametrize(("change", "now", "says"), [
    ({"webhook-id": "msg_other"}, STAMP, "no signature fits"), ({"webhook-timestamp": str(STAMP + 1)}, STAMP, "no signature fits"),
    ({"webhook-signature": "v1,AAAA"}, STAMP, "no signature fits"), ({}, STAMP + 301, "is not within"), ({}, STAMP - 301, "is not within"),
    ({"webhook-timestamp": "soon"}, STAMP, "is not within"), ({"webhook-signature": SIGNATURE.removeprefix("v1,")}, STAMP, "no signature fits"),
])  # fmt: skip
def test_what_was_changed_or_kept_is_not_genuine(change, now, says):
    with pytest.raises(SignatureError, match=says):
        verify(key_of(SECRET), sign(key_of(SECRET), ID, STAMP, BODY) | change, BODY, now)


def test_a_changed_body_another_secret_and_no_headers_are_not_genuine():
    headers = sign(key_of(SECRET), ID, STAMP, BODY)
    for key, given, body in ((key_of(SECRET), headers, BODY + b" "), (key_of(new_secret()), headers, BODY), (key_of(SECRET), {}, BODY)):
        with pytest.raises(SignatureError):
            verify(key, given, body, STAMP)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_short", "whsec_" + base64.b64encode(b"k" * 65).decode(), "not base64 at all!!", "pässword"])
def test_a_secret_that_cannot_be_one_is_refused_and_not_repeated(secret):
    with pytest.raises(SecretError, match=r"python -m agents\.webhook secret") as raised:
        key_of(secret)
    assert len(secret) < 8 or secret not in str(raised.value)
