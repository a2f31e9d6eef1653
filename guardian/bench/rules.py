"""How long matching takes per syllable or word as the rules hold more and more phrases."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from guardian.core.rules import RuleSet
from guardian.core.units import Unit
from guardian.core.violations import Role
from guardian.resources import rules_folder
from guardian.speech.hunch_file import FILE
from guardian.speech.rules_folder import rulebooks
from guardian.speech.text import units_of_text

SIZES = (100, 1_000, 10_000)
SEED = 5
IN_A_TERM = 20
"""Phrases of one term; each term has a rule."""

_ZH = (
    """
    加我 您加 加一下 扫一下 转到 付到 打到 发给我 私下 直接 咱们 下次 以后 换个 去我的 找我 留一下 告诉我
    记一下 截图 给我 走 用 搜 点开 报一下 收到 先把 不如 改成
    """,
    """
    微信 支付宝 银行卡 手机号 二维码 公众号 收款码 订单 好评 红包 现金 链接 小店 群里 邮箱 地址 验证码
    身份证 定金 差价 运费 发票 账号 名片 客服 追评 五星 余额 押金 主页
    """,
    """
    吧 就行 更便宜 不走平台 给您优惠 打九折 退您十块 再聊 联系 转账 下单 付款 说一声 别声张 我来处理 试试
    算了 可以吗 行不行 加好友 就好了 不用开票 马上发货 省手续费 我补给您
    """,
)
_EN = (
    """
    add message call text reach pay send wire transfer order buy cancel skip leave give share read find
    follow join scan open try use drop book keep move settle split
    """,
    """
    my_number my_account this_code the_app your_card the_fee our_group our_shop the_deposit your_email
    my_handle the_invoice a_review five_stars the_difference that_link your_address the_passcode
    my_profile half_the_price
    """,
    """
    directly_instead outside_the_app after_the_call for_a_discount on_the_side by_bank_transfer in_cash
    right_now tomorrow_morning without_fees off_the_record before_checkout and_i_refund_you to_save_money
    from_now_on through_my_site like_last_time if_you_want between_us with_a_coupon
    """,
)
"""Beginnings, middles and ends of phrases; `_` stands for the space between words."""
_TALK = """
您好请问有什么可以帮您 先把螺丝拧紧再把面板装上去 说明书第三页有一张接线图 这个灯亮了就说明通电了
请把镜头往左边移一点 快递大概后天能送到您家 这款有黑色和白色两种 您量一下柜子的宽度是多少
保修期是一年从签收那天算起 水管接口要缠几圈生料带 您可以在订单页面申请退换货 安装师傅会提前一个小时打电话
这个螺母不要拧得太紧 电源插头插好以后按住开关三秒 屏幕上会显示一个绿色的图标 尺寸不合适的话七天内可以退
我帮您查一下库存还有没有 麻烦您再念一遍型号
please_hold_the_lamp_and_turn_the_screw_to_the_left the_manual_shows_the_wiring_on_page_three
can_you_move_the_camera_a_little_closer the_light_should_turn_green_when_it_is_ready
delivery_usually_takes_two_or_three_days this_model_comes_in_black_and_white
measure_the_width_of_the_shelf the_warranty_is_one_year_from_the_day_it_arrived
push_the_plug_in_until_it_clicks the_installer_will_ring_you_an_hour_before
do_not_tighten_the_nut_too_much press_the_button_for_three_seconds
you_can_return_it_within_seven_days_if_it_does_not_fit let_me_check_whether_it_is_in_stock
"""


@dataclass(frozen=True, slots=True)
class Amount:
    """utterances: how many are matched in one pass; passes: of which the fastest counts."""

    utterances: int
    passes: int


SHORT, FULL = Amount(600, 5), Amount(2_400, 9)


def measure(amount: Amount) -> list[dict[str, Any]]:
    """One row per size: `phrases, us_per_token` and how long the rules took to load, with the hunches that
    come with Guardian. The sizes take turns, so that whatever else the machine does falls on all of them."""
    talk = list(_utterances(amount.utterances))
    tokens = sum(len(units) for units in talk)
    sets, loads = [], []
    hunch = {FILE: (rules_folder("") / FILE).read_text(encoding="utf-8")}
    for size in SIZES:
        texts = {"phrases.yaml": rules_of(phrases(size)), **hunch}
        began = time.perf_counter()
        sets.append(RuleSet(rulebooks(texts).book(())))
        loads.append(time.perf_counter() - began)
    fastest = [float("inf")] * len(sets)
    for _ in range(amount.passes):
        for number, rules in enumerate(sets):
            fastest[number] = min(fastest[number], _seconds(rules, talk))
    return [
        {"phrases": size, "us_per_token": round(1e6 * took / tokens, 2), "load_s": round(load, 3)}
        for size, took, load in zip(SIZES, fastest, loads, strict=True)
    ]


def phrases(count: int) -> list[str]:
    """Plausible phrases, the same ones first whatever the count; half Chinese, half English, no two alike."""
    chosen: list[str] = []
    ways = [
        [glue.join(parts).replace("_", " ") for parts in product(*(words.split() for words in language))]
        for language, glue in ((_ZH, ""), (_EN, " "))
    ]
    drawn = random.Random(SEED)
    for way in ways:
        drawn.shuffle(way)
    for zh, en in zip(*ways, strict=False):
        chosen += (zh, en)
    return chosen[:count]


def rules_of(listed: Sequence[str]) -> str:
    """A rule file that looks for these phrases, alone and after somebody is asked."""
    groups = [listed[n : n + IN_A_TERM] for n in range(0, len(listed), IN_A_TERM)]
    lines = ["terms:", "  ask: [麻烦您, 可不可以, can you, would you]"]
    lines += [f"  t{n}: [{', '.join(group)}]" for n, group in enumerate(groups)]
    lines += [
        "contexts:",
        "  negated: {where: before, within: 4, patterns: ['不能|别|do_not|never']}",
        "rules:",
    ]
    for n in range(len(groups)):
        lines.append(f"  - id: bench.r{n}")
        lines.append("    category: contact_exchange")
        lines.append(f"    patterns: ['{{t{n}}}', '{{ask}} ~3 {{t{n}}}']")
        lines.append("    exceptions: [negated]")
    return "\n".join(lines) + "\n"


def _utterances(count: int) -> Iterator[tuple[Unit, ...]]:
    """Ordinary talk of a service call; every tenth utterance says one of the first hundred phrases."""
    drawn = random.Random(SEED + 1)
    attempts = phrases(SIZES[0])
    innocent = [line.replace("_", " ") for line in _TALK.split()]
    for number in range(count):
        yield units_of_text(drawn.choice(attempts if number % 10 == 9 else innocent))


def _seconds(rules: RuleSet, talk: Sequence[Sequence[Unit]]) -> float:
    began = time.perf_counter()
    for units in talk:
        rules.match(units, Role.MERCHANT)
    return time.perf_counter() - began
