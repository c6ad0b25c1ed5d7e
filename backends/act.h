/* act.h: activations and their slopes, each one inline function compiled by gcc and by nvcc. */
#ifndef ZO_BACKENDS_ACT_H
#define ZO_BACKENDS_ACT_H

#include "core/num.h"

#ifdef __cplusplus
extern "C" {
#endif

ZO_INLINE float zo_act_gelu(float x)
{
    return x * zo_normal_cdf(x);
}

ZO_INLINE float zo_act_gelu_slope(float x)
{
    return fmaf(x * 0.398942280f, zo_exp(-0.5f * x * x), zo_normal_cdf(x));
}

ZO_INLINE float zo_act_gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + zo_tanh(0.797884561f * fmaf(0.044715f * x * x, x, x)));
}

ZO_INLINE float zo_act_gelu_tanh_slope(float x)
{
    float t = zo_tanh(0.797884561f * fmaf(0.044715f * x * x, x, x));
    float inner = 0.797884561f * fmaf(0.134145f * x, x, 1.0f);
    return fmaf(0.5f * x * fmaf(-t, t, 1.0f), inner, 0.5f * (1.0f + t));
}

ZO_INLINE float zo_act_silu(float x)
{
    return x * zo_sigmoid(x);
}

ZO_INLINE float zo_act_silu_slope(float x)
{
    float s = zo_sigmoid(x);
    return s * fmaf(x, 1.0f - s, 1.0f);
}

ZO_INLINE float zo_act_relu(float x)
{
    return x > 0.0f ? x : 0.0f * x; /* a NaN stays one */
}

ZO_INLINE float zo_act_relu_slope(float x)
{
    return x > 0.0f ? 1.0f : 0.0f;
}

ZO_INLINE float zo_act_tanh_slope(float x)
{
    float t = zo_tanh(x);
    return fmaf(-t, t, 1.0f);
}

/* cap tanh(x / cap), and its slope where it is y. */
ZO_INLINE float zo_softcap(float x, float cap)
{
    return cap * zo_tanh(x / cap);
}

ZO_INLINE float zo_softcap_slope(float y, float cap)
{
    float t = y / cap;
    return fmaf(-t, t, 1.0f);
}

/* X(enumerator, function, slope) of the activations that do something */
#define ZO_ACT_LIST(X)                                                                                        \
    X(ZO_ACT_GELU, zo_act_gelu, zo_act_gelu_slope) X(ZO_ACT_GELU_TANH, zo_act_gelu_tanh, zo_act_gelu_tanh_slope) \
    X(ZO_ACT_RELU, zo_act_relu, zo_act_relu_slope) X(ZO_ACT_SILU, zo_act_silu, zo_act_silu_slope)                \
    X(ZO_ACT_TANH, zo_tanh, zo_act_tanh_slope)

#ifdef __cplusplus
}
#endif
#endif
