"""The TV Shows API: a page for anybody, one for whoever is signed in, one for those with a permission.

    python api.py
"""

import json
import os
import threading
import time
import urllib.request

from authlib.integrations.flask_oauth2 import ResourceProtector, current_token
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from flask import Flask, jsonify
from joserfc.errors import JoseError
from joserfc.jwk import KeySet


class Keys:
    """The issuer's keys: fetched when first needed, again every five minutes, and at once for a token that
    fits none of them, as another key may sign since."""

    FRESH = 300  # seconds
    APART = 5  # seconds between fetches, whatever tokens come

    def __init__(self, issuer, algorithm):
        self.issuer, self.algorithm = issuer, algorithm
        self.known, self.fetched = None, float("-inf")
        self.lock = threading.Lock()

    def younger_than(self, seconds):
        """Returns the keys, fetched anew if they are older. While the issuer is away, those known will do."""
        with self.lock:
            if time.monotonic() - self.fetched >= seconds:
                try:
                    metadata = self.read(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
                    keys = self.read(metadata["jwks_uri"])["keys"]
                    # Those of the expected algorithm alone: no token can choose another.
                    self.known = KeySet.import_key_set({"keys": [k for k in keys if k.get("alg") == self.algorithm]})
                except (OSError, ValueError):
                    if self.known is None:
                        raise
                self.fetched = time.monotonic()
            return self.known

    @staticmethod
    def read(url):
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)


class AccessTokens(JWTBearerTokenValidator):
    """The rules of RFC 9068 for typ, signature, issuer, audience and times, and the permissions of the house."""

    LEEWAY = 30  # seconds that two clocks may be apart

    def __init__(self, issuer, audience, algorithm="ES256"):
        super().__init__(issuer, audience)
        self.keys = Keys(issuer, algorithm)

    def get_jwks(self):
        return self.keys.younger_than(Keys.FRESH)

    def authenticate_token(self, token_string):
        before = self.get_jwks()
        try:
            return super().authenticate_token(token_string)
        except InvalidTokenError:
            if self.keys.younger_than(Keys.APART) is before:
                raise
            return super().authenticate_token(token_string)

    def validate_token(self, token, scopes, request, permissions=None):
        try:
            token.validate(leeway=self.LEEWAY)
        except JoseError as error:
            raise InvalidTokenError() from error
        if self.scope_insufficient(token.get("permissions"), permissions):
            raise InsufficientScopeError()


def create(house):
    """Makes the application, for a house as `gatehouse dev` wrote it down."""
    app = Flask("python-api")
    require = ResourceProtector()
    require.register_token_validator(AccessTokens(house["issuer"], house["apis"][0]["audience"]))

    @app.get("/")
    def anyone():
        return "Anyone may read this.\n"

    @app.get("/me")
    @require()
    def me():
        return jsonify(sub=current_token["sub"], client_id=current_token["client_id"])

    @app.get("/shows")
    @require(permissions="read:shows")
    def shows():
        return jsonify(["The Lighthouse Keepers", "Night Train to Brno", "Salt"])

    return app


if __name__ == "__main__":
    with open(os.environ.get("GATEHOUSE_DEV", "../../.gatehouse/dev.json"), encoding="utf-8") as file:
        create(json.load(file)).run("localhost", int(os.environ.get("PORT", "8096")), threaded=True)
