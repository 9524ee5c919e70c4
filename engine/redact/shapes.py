"""What keys look like: of those whose makers begin them with a sign of their own, and of what stands behind a header.

Each shape has gates, short texts without which it is not there: one scan looks for the gates of all shapes, and only
where one stands is a pattern tried. A shape is sure: what only might be a key (`password = x`) is none of them, so that
commits, digests, UUIDs and names of models stay as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: A key does not begin inside a word; in JSON a line's beginning is `\n`, whose letter is none of a word.
_HERE = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4}))"
_END = r"(?![A-Za-z0-9_-])"
_MIXED = r"(?=[A-Za-z_-]*[0-9])(?=[0-9_-]*[A-Za-z])"  #: has a letter and a digit: no word of prose
_QUOTE = r"(?:\\?[\"'])?"  #: JSON in JSON has its quotes escaped


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of key. The pattern is tried where a gate begins; its first group, if any, is the secret in it."""

    gates: tuple[str, ...]
    pattern: str
    compiled: re.Pattern[bytes] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "compiled", re.compile(self.pattern.encode(), re.ASCII))

    def span(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Where the secret stands whose gate begins there."""
        found = self.compiled.match(data, at)
        return found.span(1 if found.re.groups else 0) if found is not None else None


_BODY = r"(?:[A-Za-z0-9+/=:,. \t\r\n]|\\{1,4}[rnt]|-(?!-))"  #: of a PEM block, also in JSON; no other block in it
_OWNER = r"(?:[A-Z0-9]{2,12} )*PRIVATE KEY(?: BLOCK)?-----"
_LINES = r"(?:[A-Za-z0-9+/=]{16,}|\s|\\{1,4}[rn]|(?:Proc-Type|DEK-Info): [A-Z0-9,-]+)"

SHAPES = (
    # Providers of models.
    Shape(("sk-ant-",), r"sk-ant-[a-z]{2,10}[0-9]{2}-[A-Za-z0-9_-]{16,}"),  # api03, admin01, oat01, ort01, sid01
    Shape(("sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"), r"sk-[A-Za-z]+-[A-Za-z0-9_-]{20,}"),
    Shape(("sk-or-v1-",), r"sk-or-v1-[0-9a-f]{32,}"),
    Shape(("sk-lf-",), r"sk-lf-[0-9a-f-]{36}"),
    Shape(("sk-",), rf"{_HERE}sk-{_MIXED}[A-Za-z0-9]{{20,}}{_END}"),
    Shape(("AIza",), rf"AIza[A-Za-z0-9_-]{{35}}{_END}"),
    Shape(("gsk_",), rf"{_HERE}gsk_[A-Za-z0-9]{{40,}}"),
    Shape(("xai-",), rf"{_HERE}xai-[A-Za-z0-9]{{60,}}"),
    Shape(("pplx-",), rf"{_HERE}pplx-[A-Za-z0-9]{{40,}}"),
    Shape(("r8_",), rf"{_HERE}r8_[A-Za-z0-9]{{37,}}"),
    Shape(("hf_",), rf"{_HERE}hf_[A-Za-z0-9]{{30,}}"),
    Shape(("lsv2_",), r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    # Hosts of code and packages.
    Shape(("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{30,}"),
    Shape(("github_pat_",), r"github_pat_[A-Za-z0-9_]{30,}"),
    Shape(
        ("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glft-", "glsoat-", "glagent-", "glimt-", "gloas-"),
        rf"{_HERE}gl[a-z]+-[A-Za-z0-9_.-]{{20,}}",
    ),
    Shape(("ATATT3",), r"ATATT3[A-Za-z0-9_=-]{60,}"),
    Shape(("npm_",), rf"{_HERE}npm_[A-Za-z0-9]{{36}}{_END}"),
    Shape(("pypi-AgE",), r"pypi-AgE[A-Za-z0-9_-]{50,}"),
    Shape(("dckr_pat_",), r"dckr_pat_[A-Za-z0-9_-]{20,}"),
    # Clouds and services.
    Shape(("AKIA", "ASIA", "ABIA", "ACCA"), rf"{_HERE}A[A-Z]{{3}}[A-Z2-7]{{16}}{_END}"),
    Shape(
        ("ecret_access_key", "ECRET_ACCESS_KEY", "ecretAccessKey"),
        rf"[A-Za-z_]+{_QUOTE}\s*[=:]\s*{_QUOTE}([A-Za-z0-9/+]{{40}})(?![A-Za-z0-9/+])",
    ),
    Shape(("AccountKey=", "SharedAccessKey="), r"[A-Za-z]+=([A-Za-z0-9/+]{43}=|[A-Za-z0-9/+]{86}==)"),
    Shape(("ya29.",), rf"{_HERE}ya29\.[A-Za-z0-9_-]{{20,}}"),
    Shape(("GOCSPX-",), r"GOCSPX-[A-Za-z0-9_-]{28}"),
    Shape(("dop_v1_", "doo_v1_", "dor_v1_"), r"do[opr]_v1_[0-9a-f]{64}"),
    Shape(("dapi",), rf"{_HERE}dapi[0-9a-f]{{32}}{_END}"),
    Shape(("hvs.",), rf"{_HERE}hvs\.[A-Za-z0-9_-]{{24,}}"),
    Shape(("tskey-",), r"tskey-[a-z]+-[A-Za-z0-9]+-[A-Za-z0-9]{20,}"),
    Shape(("sk_live_", "sk_test_", "rk_live_", "rk_test_"), rf"{_HERE}[rs]k_(?:live|test)_[A-Za-z0-9]{{16,}}"),
    Shape(("whsec_",), r"whsec_[A-Za-z0-9+/=]{24,}"),
    Shape(("SG.",), rf"{_HERE}SG\.[A-Za-z0-9_-]{{22}}\.[A-Za-z0-9_-]{{43}}"),
    Shape(("lin_api_", "ntn_"), rf"{_HERE}(?:lin_api|ntn)_[A-Za-z0-9]{{40,}}"),
    Shape(("shpat_", "shpss_", "shpca_"), r"shp[a-z]{2,3}_[0-9a-f]{32}"),
    Shape(("glsa_",), r"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}"),
    Shape(("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    Shape(("hwt_",), rf"{_HERE}hwt_[A-Za-z0-9_-]{{43}}{_END}"),  # our own: `engine.tokens`
    # Chats.
    Shape(("xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-"), r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    Shape(("xapp-",), r"xapp-[0-9]-[A-Za-z0-9-]{20,}"),
    Shape(("hooks.slack.com/services/",), r"hooks\.slack\.com/services/([A-Za-z0-9/]{8,})"),
    Shape(("/api/webhooks/",), r"/api/webhooks/([0-9]{10,}/[A-Za-z0-9_-]{40,})"),
    # Of any maker. The first is what was covered in a file that has to keep its length.
    Shape(("[key]*",), r"\[key\]\*+"),
    Shape(("eyJ",), rf"{_HERE}eyJ[A-Za-z0-9_-]{{8,}}\.eyJ[A-Za-z0-9_-]{{8,}}\.[A-Za-z0-9_-]{{10,}}"),
    Shape(
        ("earer ", "EARER "),
        r"(?i:earer)\s+(?=[A-Za-z._~+/=-]*[0-9])(?=[0-9._~+/=-]*[A-Za-z])([A-Za-z0-9._~+/-]{16,}={0,2})",
    ),
    Shape(
        ("uthorization", "UTHORIZATION"),
        rf"(?i:uthorization){_QUOTE}\s*[:=]\s*{_QUOTE}(?i:basic|token|bearer|apikey)\s+([A-Za-z0-9._~+/=-]{{8,}})",
    ),
    Shape(("-api-key", "-Api-Key", "-API-KEY"), rf"-(?i:api-key){_QUOTE}\s*[:=]\s*{_QUOTE}([A-Za-z0-9._-]{{16,}})"),
    # A name and a password in an address. `$PASS`, `{pass}` and `<pass>` are places for one.
    Shape(("://",), r"://([^\s/@:?#\"'\\<>{}$]{0,200}:[^\s/@:?#\"'\\<>{}$*]{3,200})@"),
    # A private key whole; of one that is cut off, what there is.
    Shape(("-----BEGIN ",), rf"-----BEGIN {_OWNER}(?={_BODY}{{40}})(?:{_BODY}{{0,20000}}?-----END {_OWNER}|{_LINES}*)"),
)
