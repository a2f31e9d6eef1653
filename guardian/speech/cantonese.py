"""Written Cantonese as the Mandarin words that rules are written in.

Characters are read in Mandarin here, so a word of Cantonese that Mandarin writes otherwise (搵, 畀, 平啲)
would be matched by nothing. A text with a word that no Mandarin text has is Cantonese; only there words
that Mandarin has with another meaning (平, 讲, 得) are put into Mandarin, too.
"""

from __future__ import annotations

import re

_OWN = {
    **dict.fromkeys(("唔使",), "不用"),
    **dict.fromkeys(("唔好", "咪再"), "不要"),
    "唔好意思": "不好意思",
    "得唔得": "行不行",
    "好唔好": "好不好",
    **dict.fromkeys(("係唔係", "系唔系"), "是不是"),
    "有冇": "有没有",
    "唔得": "不行",
    **dict.fromkeys(("唔該", "唔该"), "麻烦"),
    "唔": "不",
    "喺度": "在这里",
    "喺": "在",
    **dict.fromkeys(("嗰度", "嗰边", "嗰邊"), "那边"),
    "嗰": "那",
    **dict.fromkeys(("呢度", "呢边", "呢邊"), "这边"),
    **dict.fromkeys(("呢個", "呢隻"), "这个"),
    "冇": "没有",
    "佢": "他",
    "哋": "们",
    **dict.fromkeys(("畀返", "俾返", "畀番", "俾番", "畀", "俾"), "给"),
    "搵": "找",
    "攞": "拿",
    "睇": "看",
    "嚟": "来",
    "咗": "了",
    "嘅": "的",
    **dict.fromkeys(("乜嘢", "咩嘢"), "什么"),
    "嘢": "东西",
    **dict.fromkeys(("邊個", "边个"), "谁"),
    **dict.fromkeys(("邊度", "边度"), "哪里"),
    **dict.fromkeys(("點解", "点解"), "为什么"),
    **dict.fromkeys(("而家", "依家"), "现在"),
    **dict.fromkeys(("傾偈", "倾偈"), "聊天"),
    **dict.fromkeys(("平啲", "平d"), "便宜点"),
    **dict.fromkeys(("平好多", "平得多", "平好些"), "便宜多了"),
    **dict.fromkeys(("同我买", "同我買"), "跟我买"),
    "啲": "点",
    "咁": "这么",
    "啱": "刚",
    **dict.fromkeys(("落單", "落单"), "下单"),
    **dict.fromkeys(("過數", "过数", "入數", "入数"), "转账"),
    **dict.fromkeys(("找數", "找数"), "付钱"),
    **dict.fromkeys(("電郵", "电邮"), "邮件"),
    **dict.fromkeys(("幾多", "几多"), "多少"),
}
_SHARED = {
    **dict.fromkeys(("傾", "倾"), "聊"),
    **dict.fromkeys(("講", "讲"), "说"),
    **dict.fromkeys(("戶口", "户口"), "账户"),
    **dict.fromkeys(("係", "系"), "是"),
    **dict.fromkeys(("聯係", "聯系", "联系", "聯繫"), "联系"),
    **dict.fromkeys(("關係", "关系"), "关系"),
    **dict.fromkeys(("平日", "平時", "平时", "水平", "平台", "平安", "公平"), ""),
    "平": "便宜",
    **dict.fromkeys(("得啦", "得喇", "得架", "就得", "都得"), "就行"),
    **dict.fromkeys(("加返", "加番", "加埋"), "加"),
    **dict.fromkeys(("打返", "打番"), "打"),
    **dict.fromkeys(("同我", "同埋我"), "跟我"),
    "同你": "跟你",
    **dict.fromkeys(("蚊子", "驅蚊", "驱蚊", "滅蚊", "灭蚊"), ""),
    "蚊": "块",
}
"""An empty reading leaves a word as it is."""
_MARKS = re.compile(
    f"[唔喺嗰冇佢哋畀俾搵攞睇嚟咗嘅嘢啲咁啱乜]|{'|'.join(_OWN)}|[0-9一二两三四五六七八九十百千几幾]蚊"
)
_WORDS = _SHARED | _OWN
_READ = re.compile("|".join(sorted(_WORDS, key=len, reverse=True)))


def in_mandarin(text: str) -> str:
    """`text`, in lower case, with its Cantonese words put into Mandarin; other text is left as it is."""
    if not _MARKS.search(text):
        return text
    return _READ.sub(lambda found: _WORDS[found[0]] or found[0], text)
