/* Records of services: from rendering, from and to the state. */
#include <stdlib.h>
#include <string.h>

#include "reconciler/services.h"

void records_from_fileset(const struct fileset *set, struct pool *pool, struct service_records *ret)
{
	ret->v = pool_calloc(pool, set->n_services + 1, sizeof(*ret->v));
	ret->n = set->n_services;
	for (size_t i = 0; i < set->n_services; i++) {
		const struct out_service *from = &set->services[i];
		struct service_record *to = &ret->v[i];

		to->name = from->name;
		to->project = from->project;
		to->n_parts = from->n_parts;
		to->parts = pool_calloc(pool, from->n_parts + 1, sizeof(*to->parts));
		for (size_t k = 0; k < from->n_parts; k++) {
			to->parts[k] = (struct part_record) {
				.name = from->parts[k].name,
				.image = from->parts[k].image,
				.once = from->parts[k].once,
				.id = "",
				.image_id = "",
			};
			memcpy(to->parts[k].spec, from->parts[k].spec, SHA256_HEX_SIZE);
		}
	}
}

void records_copy(const struct service_records *from, struct pool *pool,
		  struct service_records *ret)
{
	ret->v = pool_calloc(pool, from->n + 1, sizeof(*ret->v));
	ret->n = from->n;
	for (size_t i = 0; i < from->n; i++) {
		struct service_record *to = &ret->v[i];

		to->name = pool_strdup(pool, from->v[i].name);
		to->project = pool_strdup(pool, from->v[i].project);
		to->n_parts = from->v[i].n_parts;
		to->parts = pool_calloc(pool, to->n_parts + 1, sizeof(*to->parts));
		for (size_t k = 0; k < to->n_parts; k++) {
			struct part_record *part = &to->parts[k];

			*part = from->v[i].parts[k];
			part->name = pool_strdup(pool, part->name);
			part->image = pool_strdup(pool, part->image);
			part->id = pool_strdup(pool, part->id);
			part->image_id = pool_strdup(pool, part->image_id);
		}
	}
}

json_t *records_to_json(const struct service_records *records)
{
	json_t *array = json_array();

	for (size_t i = 0; i < records->n; i++) {
		const struct service_record *r = &records->v[i];
		json_t *parts = json_array();

		for (size_t k = 0; k < r->n_parts; k++)
			json_array_append_new(
				parts, json_pack("{ss ss ss sb ss ss}", "name", r->parts[k].name,
						 "image", r->parts[k].image, "spec",
						 r->parts[k].spec, "once", r->parts[k].once, "id",
						 r->parts[k].id, "image_id", r->parts[k].image_id));
		json_array_append_new(array, json_pack("{ss ss so}", "name", r->name, "project",
						       r->project, "parts", parts));
	}
	return array;
}

static const char *take(const json_t *object, const char *key, struct pool *pool)
{
	const char *text = json_string_value(json_object_get(object, key));

	return pool_strdup(pool, text ? text : "");
}

static void take_part(const json_t *row, struct pool *pool, struct part_record *ret)
{
	const char *spec = take(row, "spec", pool);

	ret->name = take(row, "name", pool);
	ret->image = take(row, "image", pool);
	ret->once = json_is_true(json_object_get(row, "once"));
	ret->id = take(row, "id", pool);
	ret->image_id = take(row, "image_id", pool);
	if (strlen(spec) < sizeof(ret->spec))
		memcpy(ret->spec, spec, strlen(spec) + 1);
}

void records_from_json(const json_t *array, struct pool *pool, struct service_records *ret)
{
	size_t n = json_array_size(array);

	ret->v = pool_calloc(pool, n + 1, sizeof(*ret->v));
	ret->n = n;
	for (size_t i = 0; i < n; i++) {
		const json_t *row = json_array_get(array, i);
		const json_t *parts = json_object_get(row, "parts");
		struct service_record *r = &ret->v[i];

		r->name = take(row, "name", pool);
		r->project = take(row, "project", pool);
		r->n_parts = json_array_size(parts);
		r->parts = pool_calloc(pool, r->n_parts + 1, sizeof(*r->parts));
		for (size_t k = 0; k < r->n_parts; k++)
			take_part(json_array_get(parts, k), pool, &r->parts[k]);
	}
}

const struct service_record *records_find(const struct service_records *records, const char *name)
{
	for (size_t i = 0; i < records->n; i++)
		if (strcmp(records->v[i].name, name) == 0)
			return &records->v[i];
	return NULL;
}

const struct part_record *record_part(const struct service_record *record, const char *part)
{
	for (size_t i = 0; record && i < record->n_parts; i++)
		if (strcmp(record->parts[i].name, part) == 0)
			return &record->parts[i];
	return NULL;
}

void records_fill(struct service_records *records, const struct container_list *seen,
		  struct pool *pool)
{
	for (size_t i = 0; i < records->n; i++) {
		struct service_record *r = &records->v[i];

		for (size_t k = 0; k < r->n_parts; k++) {
			const struct container *c = container_find(seen, r->name, r->parts[k].name);

			r->parts[k].id = c ? pool_strdup(pool, c->id) : "";
			r->parts[k].image_id = c ? pool_strdup(pool, c->image_id) : "";
		}
	}
}
