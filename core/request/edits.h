/*
 * edits: makes what a routing target changes of a request (struct gate_edits of the script) in the
 * upstream request that is being built: headers, top-level fields of the body, the bound of the
 * answer's length, system text. Used by the attempt. Everything is spliced: bytes of the body that
 * no edit names go upstream as the client sent them.
 */
#ifndef GATE_REQUEST_EDITS_H
#define GATE_REQUEST_EDITS_H

#include "script/script.h"
#include "upstream/builder.h"

/* Worker. Adds the edits to a builder, after the provider's build_request (and the dialect's
 * ask_usage, or before it) and before gate_builder_end. dialect is that of body, and facts are what
 * gate_json_scan found in it. Everything is lent for the call.
 *
 * Headers: one that is set replaces the provider's of the same name, one without a value is not
 * sent. Those that carry a credential or frame the message are refused.
 *
 * Fields: a field that is set replaces the first member of its name where it stands, or is inserted
 * at the front of the body; further members of its name are removed. Of two edits of one name the
 * later counts. Keys count as what they decode to. model, stream, stream_options and the messages
 * are refused.
 *
 * max_tokens: each of the dialect's limit_keys, of the body or set by the same edits, that is no
 * number from 0 to max_tokens becomes max_tokens: what is larger, what is below 0 (some services
 * read that as "no limit"), and what is no number, as some services read "9000" as one. A null of
 * the client counts as absent. When no number is there, the first null becomes it, else the first
 * of limit_keys is inserted, even if the edits remove it.
 *
 * System text goes to the dialect's append_system.
 *
 * GATE_OK also for a builder that has failed already: gate_builder_end tells. GATE_EINVAL: an edit
 * that is not allowed, that the dialect cannot make or that makes no request, or a body that
 * repeats an edited field too often; err says which. GATE_ELIMIT: the fields that are set are too
 * large. Others: of the dialect. After a failure the caller finishes what was built. */
enum gate_status gate_edits_apply(const struct gate_edits *e,
                                  const struct gate_dialect_ops *dialect, struct gate_str body,
                                  const struct gate_request_facts *facts,
                                  struct gate_builder *builder, struct gate_error *err);

/* Worker. The same for a provider that answers by itself and so takes a body instead of edits: the
 * edited body goes into out, which the caller initialised and finishes, and its facts into
 * out_facts. Edits of headers have nothing to change there. Failures as above; GATE_ELIMIT: the
 * body does not fit out. */
enum gate_status gate_edits_rewrite(const struct gate_edits *e,
                                    const struct gate_dialect_ops *dialect, struct gate_str body,
                                    const struct gate_request_facts *facts, struct gate_buf *out,
                                    struct gate_request_facts *out_facts, struct gate_error *err);

#endif
