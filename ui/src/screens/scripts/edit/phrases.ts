// The narrow comparison's words, where the editor's do not say whose text is meant.
export const enPhrases: Record<string, string> = { 'Accept': 'Keep mine', 'Reject': 'Take theirs' };

// The editor's own words (search panel, messages for screen readers) in Chinese.
export const zhPhrases: Record<string, string> = {
    'Find': '查找',
    'Replace': '替换',
    'next': '下一个',
    'previous': '上一个',
    'all': '全部',
    'match case': '区分大小写',
    'regexp': '正则表达式',
    'by word': '全词',
    'replace': '替换',
    'replace all': '全部替换',
    'close': '关闭',
    'Go to line': '转到行',
    'go': '转到',
    'current match': '当前匹配',
    'on line': '在行',
    'replaced $ matches': '已替换 $ 处',
    'replaced match on line $': '已替换第 $ 行的匹配',
    'Diagnostics': '问题',
    'No diagnostics': '没有问题',
    'Completions': '补全',
    'Control character': '控制字符',
    'Selection deleted': '已删除所选内容',
    '$ unchanged lines': '$ 行未更改',
    'Revert this chunk': '采用左侧的这一处',
    'Accept': '保留我的',
    'Reject': '采用对方的',
};
