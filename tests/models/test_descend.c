/* test_descend.c: fo-sgd in mode `inplace` on the CPU: parameters that move within the backward pass end at the same bits as with stored gradients, tied
 * embeddings, adapters and prefixes too; and what a loss that is not finite leaves. */
#include "tests/descend.h"

START_TEST(in_place_is_stored)
{
    zo_err err;
    static zo_backend *be;
    if (be == NULL) {
        ck_assert_int_eq(zo_backend_open("cpu", 2, &be, &err), ZO_OK);
    }
    descents_agree(be, _i);
}
END_TEST

static void never(zo_sink *sink, int param)
{
    (void)sink;
    ck_abort_msg("the gradient of parameter %d is taken, and the loss is not finite", param);
}

START_TEST(a_loss_that_is_not_finite_moves_nothing)
{
    zo_err err;
    zo_backend *be;
    double loss = 0.0;
    static const int32_t length[] = {4, 5};
    ck_assert_int_eq(zo_backend_open("cpu", 1, &be, &err), ZO_OK);
    zo_model *model = golden_model(be, BERT, false, ZO_F32, ZO_STORAGE_F32);
    zo_batch *b = golden_batch(zo_model_arch(model), false, 2, length, 1);
    zo_model_reserve(model, b->tokens, b->rows, b->scores, 1, ZO_BACKWARD, NULL);
    int out = zo_layout_find(zo_model_layout(model), "class.out.bias");
    zo_model_store(model)->data[zo_model_layout(model)->param[out].offset] = NAN;
    zo_store *room = zo_store_new_places(be, zo_model_layout(model), ZO_TAG_GRADS);
    zo_sink sink = {.room = room, .take = never};
    zo_model_descend(model, b, false, &sink, &loss);
    ck_assert(!isfinite(loss));
    zo_store_free(be, room);
    zo_batch_free(b);
    zo_model_close(model);
    be->close(be);
}
END_TEST

/* Parameters of one operation have places apart, and so have tables that are read whole. */
START_TEST(places_are_apart)
{
    zo_layout layout = {0};
    int64_t place[5];
    zo_layout_add(&layout, "table", ZO_PARAM_TABLE, 7, 8, -1, true);
    zo_layout_add(&layout, "weight", ZO_PARAM_MATRIX, 10, 8, 0, true);
    zo_layout_add(&layout, "bias", ZO_PARAM_VECTOR, 1, 20, 0, false);
    zo_layout_add(&layout, "longer", ZO_PARAM_MATRIX, 20, 8, 0, true);
    zo_layout_add(&layout, "other", ZO_PARAM_TABLE, 3, 8, -1, true);
    layout.param[0].whole = true;
    layout.param[2].bias = true;
    ck_assert_int_eq(zo_gradient_places(&layout, place), 160 + 32 + 64);
    ck_assert(place[1] == 0 && place[3] == 0 && place[4] == 0 && place[2] == 160 && place[0] == 192);
    const bool frozen[] = {true, false, true, true, false};
    zo_layout_freeze(&layout, frozen);
    ck_assert_int_eq(zo_gradient_places(&layout, NULL), 80);
    zo_layout_free(&layout);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("descend");
    TCase *tests = tcase_create("descend");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, in_place_is_stored, 0, DESCENTS);
    tcase_add_test(tests, a_loss_that_is_not_finite_moves_nothing);
    tcase_add_test(tests, places_are_apart);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
