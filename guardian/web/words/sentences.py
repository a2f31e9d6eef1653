"""Refusals in the language of whoever reads them. The core says them in English, where most are for machines."""

from __future__ import annotations

from collections.abc import Mapping

_ZH: Mapping[str, str] = {
    "There is no such case.": "没有这个案件。",
    "There is no such appeal.": "没有这个申诉。",
    "There is no such account.": "没有这个账户。",
    "There is no rule with this id.": "没有这条规则。",
    "There is nothing at this address.": "此地址没有内容。",
    "Something went wrong inside Guardian; the server goes on.": "Guardian 内部出错，服务器仍在运行。",
    "You have decided this case; another person judges the appeal.": "您曾裁定过此案件，申诉须由其他人处理。",
    "You have decided this case before; another person has to look at it now.": "您曾裁定过此案件，现在须由其他人查看。",
    "This appeal has been decided.": "此申诉已裁定。",
    "This appeal has changed; look at it again.": "此申诉已有变化，请重新查看。",
    "This appeal was changed in the meantime; look at it again.": "此申诉刚刚发生变化，请重新查看。",
    "Claim the case of this appeal before you judge it.": "请先领取此申诉的案件。",
    "Somebody else has claimed this case.": "此案件已被他人领取。",
    "Your claim of this case has ended; claim it again.": "您对此案件的领取已到期，请重新领取。",
    "Nothing is to be decided in this case any more.": "此案件已无需裁定。",
    "Your roles do not allow to judge appeals.": "您的角色不能处理申诉。",
    "Your roles do not allow to review cases that stand here.": "您的角色不能审核处于此状态的案件。",
    "Say first what you think of this case; what was decided is told then.": "请先给出您的意见，之后才会显示原裁定。",
    "Say what you think of the case.": "请给出您对案件的意见。",
    "Say whether the decision is upheld or overturned.": "请选择维持还是推翻原裁定。",
    "Say in a few words why.": "请简要说明原因。",
    "Write at least one phrase that makes a hit innocent.": "请至少写一个说法。",
    "Nobody can disable their own account; another administrator can.": "不能停用自己的账户，可由其他管理员操作。",
    "An account needs a role.": "账户至少需要一个角色。",
    "An auditor has no other role: nobody audits what they do themselves.": "审计员不能兼任其他角色。",
    "A name for signing in has a-z, 0-9 and . _ @ + -, begins with a letter or digit, 64 at most.": "登录名可用 a-z、0-9 以及 . _ @ + -，以字母或数字开头，最多 64 个字符。",
    "A name to be shown has 1 to 64 characters and no blank at either end.": "显示名称为 1 到 64 个字符，首尾不能有空格。",
    "A name to be shown has no characters that cannot be seen.": "显示名称不能含有不可见字符。",
    "A password has 12 characters or more; a few words with blanks will do.": "密码至少 12 个字符，可以用几个词加空格。",
    "A password has 5 different characters or more.": "密码至少包含 5 个不同的字符。",
    "A password is more than the name for signing in.": "密码不能与登录名雷同。",
    "A time zone is named as in the IANA list, Asia/Shanghai or UTC.": "时区请使用 IANA 名称，如 Asia/Shanghai 或 UTC。",
    "The rules that come with Guardian are not changed: copy their folder, name the copy in `speech.rules_dir`, "
    "and start Guardian again.": "随 Guardian 提供的规则不能修改：请复制规则文件夹，在 speech.rules_dir 中指定副本，然后重新启动。",
    "Rules are being tried by others; try again.": "其他人正在试用规则，请稍后再试。",
    "The store does not answer; look at the case before trying again.": "存储没有响应，请先查看案件再重试。",
}


def sentence(language: str, english: str) -> str:
    """What the core said, in a language; as it was said where nobody has put it into words."""
    return _ZH.get(english, english) if language == "zh" else english
