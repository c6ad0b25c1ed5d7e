/* embed.h: put a file of the source tree into the program as a NUL-terminated text. The path is relative to the root of the
 * repository, where the compiler runs. The Makefile names such files as prerequisites of the object that embeds them. */
#ifndef ZO_CORE_EMBED_H
#define ZO_CORE_EMBED_H

/* At file scope: ZO_EMBED(zo_schema_sql, "results/schema.sql"); defines `const char zo_schema_sql[]`. */
#define ZO_EMBED(symbol, path)                                     \
    __asm__(".pushsection .rodata\n"                               \
            ".global " #symbol "\n" #symbol ":\n"                  \
            ".incbin \"" path "\"\n"                               \
            ".byte 0\n"                                            \
            ".popsection\n");                                      \
    extern const char symbol[]

#endif
