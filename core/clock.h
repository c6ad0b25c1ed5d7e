/* clock.h: a monotonic clock and where the time of a step goes. */
#ifndef ZO_CORE_CLOCK_H
#define ZO_CORE_CLOCK_H

#ifdef __cplusplus
extern "C" {
#endif

double zo_now(void); /* seconds, CLOCK_MONOTONIC */

/* X(suffix, name): what a step's wall time is spent on. An operation books the wall time from its call to its return, so that threads that
 * wait at its end wait for its part; where it has several, they share it as the threads' own times do. `other` = wall - sum is what is
 * done between operations. */
#define ZO_PART_LIST(X)                                                                                                        \
    X(FORM, "form") /* drawing z and forming W + cZ, or moving the stored weights to a point */                                \
    X(GEMM, "gemm") X(ATTENTION, "attention") X(ELEMENTWISE, "elementwise") X(HEAD, "head") X(BACKWARD, "backward")            \
    X(UPDATE, "update") X(DATA, "data")
typedef enum zo_part {
#define X(id, name) ZO_PART_##id,
    ZO_PART_LIST(X)
#undef X
    ZO_PARTS
} zo_part;

const char *zo_part_name(zo_part part);
void zo_part_add(zo_part part, double seconds);      /* thread-safe */
/* Time that one module booked on `from` and its caller knows to belong to `to`; at most what `from` holds. */
void zo_part_move(zo_part from, zo_part to, double seconds);
void zo_part_read(double seconds[ZO_PARTS]);         /* accumulated since the last reset */
void zo_part_reset(void);

#ifdef __cplusplus
}
#endif
#endif
