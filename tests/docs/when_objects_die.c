/* The examples of docs/embedding.md, section 8, in one program that compiles,
 * runs, and checks what they come to. check_examples.py looks whether the page
 * and this file still agree. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/loam.h"

#define CHECK(condition) check((condition), __LINE__, #condition)

static void check(int condition, int line, const char* text) {
  if (condition) return;
  fprintf(stderr, "line %d: not so: %s (%s)\n", line, text, loam_last_error());
  exit(1);
}

static void collect(loam_mutator* m) {
  CHECK(loam_collect(m, LOAM_COLLECT_FULL) == LOAM_OK);
}

static size_t run_queued(loam_mutator* m) {
  size_t ran;
  CHECK(loam_finalizers_run(m, 0, &ran, NULL) == LOAM_OK);
  return ran;
}

static const loam_type* register_type(loam_heap* heap, loam_type_info info) {
  const loam_type* type = NULL;
  CHECK(loam_type_register(loam_heap_types(heap), &info, &type) == LOAM_OK);
  return type;
}

static loam_type_info record(const char* name, size_t size) {
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = name;
  info.size = size;
  return info;
}

/* ---- Finalizers */

typedef struct file {
  int fd;
} file;

static void close_file(loam_mutator* m, void* object, void* data) {
  close(((file*)object)->fd); /* the object and all it refers to are alive */
}

static void finalizers(loam_heap* heap, loam_mutator* m) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  file* f = loam_alloc(m, register_type(heap, record("file", sizeof(file))));
  CHECK(f != NULL);
  f->fd = ends[1];
  loam_finalizer_set(m, f, close_file, NULL, LOAM_FINALIZER_ORDERED);
  collect(m);
  loam_finalizers_run(m, 0, NULL, NULL); /* at a moment that suits you */
  char byte;
  CHECK(read(ends[0], &byte, 1) == 0); /* closed at the other end */
  close(ends[0]);
}

/* ---- Cleanups */

typedef struct string {
  size_t length;
  char bytes[];
} string;

typedef struct document {
  loam_word title; /* LOAM_VALUE */
} document;

static const loam_type* document_type;

static document* new_document(loam_mutator* m) {
  document* d = loam_alloc(m, document_type);
  CHECK(d != NULL);
  return d;
}

/* Not the document, but what is left to do without it. */
static void remove_scratch(loam_mutator* m, loam_word name, void* data) {
  unlink(((string*)name)->bytes);
}

static string* make_scratch_file(loam_mutator* m) {
  static const char path[] = "loam_scratch_XXXXXX";
  string* name = loam_alloc_bytes(m, sizeof(string) + sizeof(path));
  CHECK(name != NULL);
  memcpy(name->bytes, path, sizeof(path));
  const int fd = mkstemp(name->bytes);
  CHECK(fd >= 0);
  close(fd);
  return name;
}

static int exists(const char* path) { return access(path, F_OK) == 0; }

static void cleanups(loam_mutator* m) {
  char paths[2][32];
  for (int saved = 0; saved < 2; saved++) {
    LOAM_FRAME(m, roots, 1, LOAM_POINTER);
    document* d = new_document(m);
    roots.slots[0] = (loam_word)d;
    string* name = make_scratch_file(m);
    strcpy(paths[saved], name->bytes);
    loam_cleanup cleanup;
    loam_cleanup_add(m, d, remove_scratch, (loam_word)name, NULL, &cleanup);
    if (saved) {
      loam_cleanup_stop(m, &cleanup); /* the scratch file has become the file */
    }
    LOAM_FRAME_END(roots);
  }
  CHECK(exists(paths[0]) && exists(paths[1]));
  collect(m);
  CHECK(run_queued(m) == 1);
  CHECK(!exists(paths[0]) && exists(paths[1]));
  unlink(paths[1]);
}

/* ---- Pins */

static void pins(loam_mutator* m) {
  const size_t length = 5;
  int ends[2];
  CHECK(pipe(ends) == 0 && write(ends[1], "hello", length) == 5);
  const int fd = ends[0];
  char* buffer = loam_alloc_bytes(m, 1000);
  CHECK(buffer != NULL);
  ssize_t n;
  loam_pin(m, buffer);
  loam_enter_native(m);
  n = read(fd, buffer, length); /* for as long as it takes */
  loam_leave_native(m);
  collect(m);
  CHECK(n == 5 && memcmp(buffer, "hello", length) == 0);
  loam_unpin(m, buffer);
  close(ends[0]);
  close(ends[1]);
}

/* ---- Weak handles */

typedef struct widget {
  loam_weak_handle* shown; /* in memory that is not the heap's */
  int redrawn;
} widget;

static void redraw(loam_mutator* m, widget* w, document* d) {
  LOAM_FRAME(m, roots, 1, LOAM_POINTER);
  roots.slots[0] = (loam_word)d;
  collect(m);
  d->title = 0;
  w->redrawn++;
  LOAM_FRAME_END(roots);
}

static void paint(loam_mutator* m, widget* w) {
  document* d = loam_weak_handle_get(m, w->shown);
  if (d != NULL) redraw(m, w, d); /* NULL: it has died */
}

static void weak_handles(loam_mutator* m) {
  widget* w = calloc(1, sizeof(widget));
  LOAM_FRAME(m, roots, 1, LOAM_POINTER);
  document* d = new_document(m);
  roots.slots[0] = (loam_word)d;
  loam_weak_handle_create(m, d, LOAM_WEAK_SHORT, &w->shown);
  collect(m);
  paint(m, w);
  CHECK(w->redrawn == 1);
  LOAM_FRAME_END(roots);
  collect(m);
  paint(m, w);
  CHECK(w->redrawn == 1);
  loam_weak_handle_destroy(m, w->shown);
  free(w);
}

/* ---- Weak words and ephemerons */

typedef struct observer {
  loam_word action;  /* LOAM_VALUE */
  document* subject; /* LOAM_WEAK_POINTER */
} observer;

static const loam_field observer_fields[] = {
    LOAM_FIELD(observer, action, LOAM_VALUE),
    LOAM_FIELD(observer, subject, LOAM_WEAK_POINTER),
};

typedef struct note {
  loam_word subject; /* LOAM_EPHEMERON_KEY */
  loam_word text;    /* LOAM_EPHEMERON_VALUE */
} note;

static const loam_field note_fields[] = {
    LOAM_FIELD(note, subject, LOAM_EPHEMERON_KEY),
    LOAM_FIELD(note, text, LOAM_EPHEMERON_VALUE),
};

static void weak_words(loam_heap* heap, loam_mutator* m) {
  loam_type_info info = record("observer", sizeof(observer));
  info.fields = observer_fields;
  info.field_count = 2;
  const loam_type* observer_type = register_type(heap, info);
  info = record("note", sizeof(note));
  info.fields = note_fields;
  info.field_count = 2;
  const loam_type* note_type = register_type(heap, info);

  LOAM_FRAME(m, roots, 3, LOAM_POINTER);
  document* d = new_document(m);
  roots.slots[0] = (loam_word)d;
  observer* o = loam_alloc(m, observer_type);
  roots.slots[1] = (loam_word)o;
  note* n = loam_alloc(m, note_type);
  roots.slots[2] = (loam_word)n;
  document* copy = new_document(m);
  loam_store_value(m, copy, &copy->title, (loam_word)d);
  loam_store_weak(m, o, &o->subject, (loam_word)d);
  loam_store_weak(m, n, &n->subject, (loam_word)d);
  loam_store_weak(m, n, &n->text, (loam_word)copy);

  for (int alive = 1; alive >= 0; alive--) {
    if (!alive) roots.slots[0] = 0;
    collect(m);
    document* subject = (document*)loam_load_weak(m, o, &o->subject);
    CHECK((subject == d) == alive && (subject != NULL) == alive);
    CHECK((loam_load_weak(m, n, &n->subject) != 0) == alive);
    CHECK((loam_load_weak(m, n, &n->text) != 0) == alive);
  }
  LOAM_FRAME_END(roots);
}

/* ---- Weak maps */

static void weak_maps(loam_mutator* m) {
  LOAM_FRAME(m, roots, 2, LOAM_POINTER);
  document* d = new_document(m);
  roots.slots[1] = (loam_word)d;
  const loam_word count = 0; /* in this heap's encoding: no reference */
  void* map = loam_weak_map_new(m);
  roots.slots[0] = (loam_word)map;
  if (loam_weak_map_set(m, map, (loam_word)d, count) != LOAM_OK) exit(1);
  collect(m);

  loam_word found;
  if (loam_weak_map_get(m, map, (loam_word)d, &found) == LOAM_NOT_FOUND) {
    found = 0; /* never counted */
  }
  CHECK(found == count && loam_weak_map_count(m, map) == 1);
  /* It was counted: what the lookup says is not the default. */
  found = 1;
  CHECK(loam_weak_map_get(m, map, (loam_word)d, &found) == LOAM_OK);
  CHECK(found == count);
  CHECK(loam_weak_map_get(m, map, (loam_word)map, &found) == LOAM_NOT_FOUND);
  roots.slots[1] = 0;
  collect(m);
  CHECK(loam_weak_map_count(m, map) == 0);
  LOAM_FRAME_END(roots);
}

/* ---- Weak providers */

typedef struct vm {
  struct {
    const document* receiver; /* no root: compared, never followed */
    void* target;
  } inline_cache[4];
} vm;

static void drop_dead(loam_visitor* visitor, void* data) {
  vm* v = data;
  for (int i = 0; i < 4; i++) {
    if (!loam_weak_is_live_pointer(visitor, v->inline_cache[i].receiver)) {
      v->inline_cache[i].receiver = NULL;
    }
  }
}

static void weak_providers(loam_heap* heap, loam_mutator* m) {
  vm memory = {0}, *v = &memory;
  loam_root* root;
  loam_weak_provider_add(heap, drop_dead, v, "inline caches", &root);
  LOAM_FRAME(m, roots, 1, LOAM_POINTER);
  for (int i = 0; i < 4; i++) {
    document* d = new_document(m);
    if (i == 2) roots.slots[0] = (loam_word)d;
    v->inline_cache[i].receiver = d;
  }
  collect(m);
  for (int i = 0; i < 4; i++) {
    CHECK((v->inline_cache[i].receiver != NULL) == (i == 2));
  }
  LOAM_FRAME_END(roots);
  CHECK(loam_root_remove(root) == LOAM_OK);
}

/* ---- Dispose */

typedef struct image {
  void* pixels; /* of malloc */
  size_t bytes;
} image;

static size_t freed;

static void free_pixels(void* object, size_t size) {
  free(((image*)object)->pixels);
  freed += ((image*)object)->bytes;
}

static void dispose(loam_heap* heap, loam_mutator* m) {
  loam_type_info info = record("image", sizeof(image));
  info.dispose = free_pixels;
  const loam_type* image_type = register_type(heap, info);
  image* i = loam_alloc(m, image_type);
  CHECK(i != NULL);
  i->bytes = 1 << 20;
  i->pixels = malloc(i->bytes);
  i = NULL;
  collect(m);
  CHECK(freed == 1 << 20);
}

/* ---- The runner thread */

static int ran_on_runner; /* by one thread, read when that has ended */

static void count_run(loam_mutator* m, void* object, void* data) {
  ran_on_runner++;
}

static void runner(loam_heap* heap, loam_mutator* m) {
  loam_finalizers_start_runner(heap);
  for (int i = 0; i < 100; i++) {
    loam_finalizer_set(m, new_document(m), count_run, NULL,
                       LOAM_FINALIZER_UNORDERED);
  }
  collect(m);
  loam_stats stats;
  do {
    CHECK(usleep(1000) == 0);
    loam_safepoint(m);
    memset(&stats, 0, sizeof(stats));
    stats.struct_size = sizeof(stats);
    CHECK(loam_heap_stats(heap, &stats) == LOAM_OK);
  } while (stats.finalizers_waiting != 0);
  CHECK(loam_finalizers_stop_runner(heap) == LOAM_OK);
  CHECK(ran_on_runner == 100);
}

/* ---- Words of your own */

static uint64_t forgotten;

static void forget_identity(loam_mutator* m, loam_word id, void* data) {
  forgotten = id; /* take it out of the debugger's table */
}

static uint64_t identity(loam_mutator* m, void* object,
                         loam_special_kind* identities, uint64_t* last) {
  loam_word id;
  if (loam_special_get(m, object, identities, &id) == LOAM_OK) return id;
  id = ++*last;
  return loam_special_set(m, object, identities, id) == LOAM_OK ? id : 0;
}

static void own_words(loam_heap* heap, loam_mutator* m) {
  loam_special_kind* identities;
  loam_special_kind_create(heap, forget_identity, NULL, &identities);
  uint64_t last = 6;
  document* d = new_document(m);
  CHECK(identity(m, d, identities, &last) == 7);
  CHECK(identity(m, d, identities, &last) == 7);
  collect(m);
  CHECK(run_queued(m) == 1 && forgotten == 7);
}

int main(void) {
  loam_options options;
  loam_options_init(&options);
  options.check.verify_marking = 1;
  options.check.check_stores = 1;
  options.check.poison = 1;
  options.check.forbid_foreign_references = 1;
  loam_heap* heap;
  loam_mutator* m;
  CHECK(loam_heap_create(&options, &heap) == LOAM_OK);
  CHECK(loam_mutator_attach(heap, "main", &m) == LOAM_OK);
  static const loam_field fields[] = {LOAM_FIELD(document, title, LOAM_VALUE)};
  loam_type_info info = record("document", sizeof(document));
  info.fields = fields;
  info.field_count = 1;
  document_type = register_type(heap, info);
  finalizers(heap, m);
  cleanups(m);
  pins(m);
  weak_handles(m);
  weak_words(heap, m);
  weak_maps(m);
  weak_providers(heap, m);
  dispose(heap, m);
  runner(heap, m);
  own_words(heap, m);
  CHECK(loam_mutator_detach(m) == LOAM_OK);
  CHECK(loam_heap_destroy(heap) == LOAM_OK);
  return 0;
}
