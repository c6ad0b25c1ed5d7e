"""Charsmaps of SentencePiece's normalizers, made from rules: a double array of keys and the texts that take their place."""
import struct


def charsmap(rules):
    """{key: text} as SentencePiece stores it: bytes of the double array, the array, then the texts, a NUL behind each. Nothing is packed: a
    node inside a character has 64 units of its own, another inner node 256, and leaves of one text share the unit of its value."""
    texts, at = b"", {}
    for text in rules.values():
        if text not in at:
            at[text] = len(texts)
            texts += text.encode() + b"\0"
    trie = {}
    for key, text in rules.items():
        node = trie
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[-1] = text
    units, end = {0: 0}, [256 + (len(at) + 255) // 256 * 256]
    value = {text: 256 + i for i, text in enumerate(at)}
    for text, place in value.items():
        units[place] = at[text] | 1 << 31

    def set_node(here, label, base, has_value):
        offset = here ^ base
        assert offset < 1 << 21
        units[here] = offset << 10 | label | has_value << 8

    def put(node, here, label):
        children = [byte for byte in node if byte >= 0]
        if not children:
            set_node(here, label, value[node[-1]], True)
            return
        inside = -1 not in node and all(0x80 <= byte < 0xC0 for byte in children)
        base = end[0] ^ 0x80 if inside else end[0] + (-end[0]) % 256
        end[0] = end[0] + 64 if inside else base + 256
        set_node(here, label, base, -1 in node)
        if -1 in node:
            units[base] = at[node[-1]] | 1 << 31
        for byte in children:
            put(node[byte], base ^ byte, byte)

    put(trie, 0, 0)
    array = [units.get(i, 0) for i in range(end[0] + (-end[0]) % 256)]
    return struct.pack("<I", 4 * len(array)) + struct.pack("<%dI" % len(array), *array) + texts
