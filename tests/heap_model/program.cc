#include "tests/heap_model/program.h"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

namespace loam_test {
namespace {

constexpr loam_encoding_kind EncodingOf(uint64_t seed) {
  return static_cast<loam_encoding_kind>(seed % 4);
}

constexpr loam_word ClearedWordOf(uint64_t seed) {
  return seed % 3 == 1 ? kClearedWord : 0;
}

// The checking options of a seed: all of them with all encodings.
void SetChecks(uint64_t seed, loam_check_options* check) {
  switch (seed / 4 % 4) {
    case 0:
      break;
    case 1:
      check->verify_marking = 1;
      check->poison = 1;
      break;
    case 2:
      check->check_stores = 1;
      check->check_threads = 1;
      break;
    case 3:
      check->stress_probability = 0.003;
      check->stress_seed = seed + 1;
      check->poison = seed % 3 == 0;
      break;
  }
}

}  // namespace

Program::Program(uint64_t seed, size_t steps, Coverage* coverage)
    : Program(seed, Random(seed), steps, coverage) {}

Program::Program(uint64_t seed, const Random& random, size_t steps,
                 Coverage* coverage)
    : seed_(seed),
      steps_(steps),
      coverage_(coverage),
      random_(random),
      encoding_(EncodingOf(seed)),
      model_(ClearedWordOf(seed)),
      dispose_log_(this) {
  model_.disposed = &dispose_log_;
}

Program::~Program() {
  // After a failure the heap is left alone: its state is not to be trusted.
}

void Program::Fail(const char* format, ...) {
  if (failed()) return;
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  failure_ = "LOAM_TEST_SEED=" + std::to_string(seed_) + ", step " +
             std::to_string(step_) + ": " + text;
}

void Program::OnCycleBegin(loam_heap* /*heap*/, const loam_cycle_info* info,
                           void* data) {
  auto* program = static_cast<Program*>(data);
  if (program->is_finishing_) return;
  program->model_.Collect();
  switch (info->reason) {
    case LOAM_CYCLE_TRIGGER:
      program->Count(Covered::kCycleTrigger);
      break;
    case LOAM_CYCLE_STRESS:
      program->Count(Covered::kCycleStress);
      break;
    case LOAM_CYCLE_REQUESTED:
      program->Count(Covered::kCycleRequested);
      break;
    default:
      program->Fail("a cycle for reason %d", info->reason);
  }
  if (info->number != program->model_.cycles()) {
    program->Fail("cycle %" PRIu64 " follows %" PRIu64, info->number,
                  program->model_.cycles() - 1);
  }
}

void Program::OnFatal(loam_heap* /*heap*/, const char* /*message*/,
                      void* data) {
  const auto* program = static_cast<const Program*>(data);
  fprintf(stderr, "LOAM_TEST_SEED=%" PRIu64 ", step %zu: fatal, see above\n",
          program->seed_, program->step_);
}

void Program::OnLog(loam_heap* /*heap*/, const char* /*line*/, void* /*data*/) {
}

bool Program::Start() {
  loam_options options;
  loam_options_init(&options);
  options.name = "model";
  options.encoding = encoding_.options();
  options.minimum_heap_bytes = size_t{128 << 10} << random_.Below(4);
  options.memory_limit = LOAM_MEMORY_LIMIT_NONE;
  SetChecks(seed_, &options.check);
  options.weak_cleared_word = ClearedWordOf(seed_);
  options.finalize_at_destroy = seed_ % 7 == 3;
  options.workers = seed_ % 5 == 4 ? 2 : 0;
  if (read_profile_) {
    options.profile_rate = 1;
    // One frame for all: unwinding the stack would be most of the work.
    options.profile.stacks = LOAM_PROFILE_STACKS_EMBEDDER;
    options.profile.frames = [](loam_mutator*, loam_profile_frame* frames,
                                size_t, void*) {
      frames[0] = {1, 1};
      return size_t{1};
    };
    options.profile.describe = [](loam_word, loam_profile_function* function,
                                  void*) { function->name = "program"; };
  }
  options.callbacks.cycle_begin = OnCycleBegin;
  options.callbacks.fatal = OnFatal;
  options.callbacks.log = OnLog;
  options.callbacks.data = this;
  if (loam_heap_create(&options, &heap_) != LOAM_OK ||
      loam_mutator_attach(heap_, "program", &m_) != LOAM_OK ||
      !RegisterLayouts(loam_heap_types(heap_), &random_, &dispose_log_,
                       OnDispose, &layouts_)) {
    Fail("%s", loam_last_error());
    return false;
  }
  for (const Layout& layout : layouts_) {
    if (layout.is_array()) {
      arrays_.push_back(&layout);
    } else if (layout.category != Covered::kLayoutLargeFixed) {
      fixed_.push_back(&layout);
    }
  }
  for (const bool has_died : {true, true, false}) {
    loam_special_kind* kind;
    if (loam_special_kind_create(heap_, has_died ? OnWordDied : nullptr, this,
                                 &kind) != LOAM_OK) {
      Fail("%s", loam_last_error());
      return false;
    }
    word_kinds_.push_back(kind);
    model_.word_kind_has_died.push_back(has_died);
  }
  favourite_ = fixed_[random_.Below(fixed_.size())];
  Count(encoding_.kind() == LOAM_ENCODING_POINTER   ? Covered::kEncodingPointer
        : encoding_.kind() == LOAM_ENCODING_LOW_TAG ? Covered::kEncodingLowTag
        : encoding_.kind() == LOAM_ENCODING_NANBOX
            ? Covered::kEncodingNanBox
            : Covered::kEncodingCallback);
  return true;
}

// Takes everything down again, which must work with whatever there is.
void Program::Finish() {
  if (model_.current != &model_.own_stack) SwitchFiber(&model_.own_stack);
  while (!model_.own_stack.entries.empty()) PopEntry();
  for (auto& array : model_.heap_roots) {
    if (random_.Percent(50)) continue;  // The heap takes the rest along.
    const loam_status status = array->global != nullptr
                                   ? loam_global_destroy(array->global)
                                   : loam_root_remove(array->root);
    if (status != LOAM_OK) Fail("%s", loam_last_error());
  }
  if (loam_mutator_detach(m_) != LOAM_OK) Fail("%s", loam_last_error());
  Destroy();
}

std::string Program::Run() {
  if (!Start()) return failure_;
  size_t until_check = 1;
  for (step_ = 0; step_ < steps_ && !failed(); step_++) {
    Step();
    if (--until_check == 0 && !failed()) {
      Check();
      until_check = random_.Between(30, 300);
    }
  }
  if (!failed()) Check();
  if (!failed()) Finish();
  return failure_;
}

void Program::Step() {
  // A fifth of the steps.
  const size_t draw = random_.Below(1250);
  if (draw < 1000) {
    StepObjects(draw);
  } else {
    StepSpecials();
  }
}

void Program::StepObjects(size_t draw) {
  if (draw < 380) {
    Allocate();
  } else if (draw < 560) {
    Store();
  } else if (draw < 600) {
    Exchange();
  } else if (draw < 640) {
    CompareExchange();
  } else if (draw < 690) {
    Copy();
  } else if (draw < 720) {
    Clear();
  } else if (draw < 730) {
    ChangeTag();
  } else if (draw < 790) {
    WriteRoot(random_.Percent(80) ? PickReachable() : nullptr);
  } else if (draw < 835) {
    AddRoot();
  } else if (draw < 851) {
    RemoveRoot();
  } else if (draw < 862) {
    Unwind();
  } else if (draw < 872) {
    CreateFiber();
  } else if (draw < 890) {
    SwitchFiber(nullptr);
  } else if (draw < 894) {
    DestroyFiber();
  } else if (draw < 930) {
    SetFinalizer();
  } else if (draw < 947) {
    ClearFinalizer();
  } else if (draw < 954) {
    RunFinalizers();
  } else if (draw < 970) {
    ResizeBytes();
  } else if (draw < 990) {
    QueryAddress();
  } else {
    Miscellaneous();
  }
}

void Program::Miscellaneous() {
  switch (random_.Below(7)) {
    case 0:
      NativeSection();
      break;
    case 1:
      DisabledSection();
      break;
    case 2:
      Reattach();
      break;
    case 3:
      if (loam_stop_the_world(m_) != LOAM_OK) Fail("%s", loam_last_error());
      AllocateFixed();
      if (loam_start_the_world(m_) != LOAM_OK) Fail("%s", loam_last_error());
      break;
    case 4:
      (loam_safepoint)(m_);
      loam_safepoint(m_);
      break;
    case 5:
      if (random_.Percent(40)) RunnerSection();
      break;
    default:
      loam_heap_release_memory(heap_);
  }
}

void Program::NativeSection() {
  Count(Covered::kMutatorNative);
  const size_t depth = random_.Between(1, 3);
  for (size_t i = 0; i < depth; i++) loam_enter_native(m_);
  if (loam_mutator_current(heap_) != m_) Fail("not current in native state");
  for (size_t i = 0; i < depth; i++) {
    if (loam_leave_native(m_) != LOAM_OK) Fail("%s", loam_last_error());
  }
  if (loam_leave_native(m_) != LOAM_WRONG_STATE) {
    Fail("left native state once too often");
  }
}

void Program::DisabledSection() {
  const uint64_t cycles = model_.cycles();
  loam_gc_disable(m_);
  for (size_t i = random_.Below(20); i > 0 && !failed(); i--) Allocate();
  if (loam_collect(m_, LOAM_COLLECT_FULL) != LOAM_WRONG_STATE) {
    Fail("collected while disabled");
  }
  Count(Covered::kCycleDisabled);
  if (model_.cycles() != cycles) Fail("a cycle ran while disabled");
  if (loam_gc_enable(m_) != LOAM_OK) Fail("%s", loam_last_error());
}

void Program::Reattach() {
  if (model_.current != &model_.own_stack) {
    if (loam_mutator_detach(m_) != LOAM_WRONG_STATE) {
      Fail("detached while on a fiber");
    }
    return;
  }
  if (loam_mutator_detach(m_) != LOAM_OK) Fail("%s", loam_last_error());
  // Frames, handles and providers go with it.
  model_.own_stack.entries.clear();
  model_.own_stack.providers.clear();
  m_ = nullptr;
  if (loam_mutator_attach(heap_, "again", &m_) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  Count(Covered::kMutatorReattached);
}

}  // namespace loam_test
