// Writes the heap profile in the format of pprof: one message "Profile" of
// protocol buffers (proto/profile.proto of github.com/google/pprof), not
// compressed, which readers accept.
//
// The order of its fields is free. So functions and locations are written when
// the first sample needs them, and nothing is held in memory but which of them
// there are, and the strings, which come last.

#include <sched.h>

#include <cmath>
#include <ctime>
#include <string_view>

#include "runtime/base/race_hooks.h"
#include "runtime/loaded_objects.h"
#include "runtime/number_table.h"
#include "runtime/object_references.h"
#include "runtime/os_array.h"
#include "runtime/output_file.h"
#include "runtime/proto_message.h"
#include "runtime/runtime.h"
#include "runtime/string_table.h"

namespace loam {
namespace {

// Numbers of fields.
namespace profile {
enum : uint32_t {
  kSampleType = 1,
  kSample = 2,
  kMapping = 3,
  kLocation = 4,
  kFunction = 5,
  kString = 6,
  kTimeNanos = 9,
  kPeriodType = 11,
  kPeriod = 12,
  kComment = 13,
  kDefaultSampleType = 14,
};
}  // namespace profile
namespace value_type {
enum : uint32_t { kType = 1, kUnit = 2 };
}  // namespace value_type
namespace sample {
enum : uint32_t { kLocationId = 1, kValue = 2, kLabel = 3 };
}  // namespace sample
namespace label {
enum : uint32_t { kKey = 1, kString = 2, kNumber = 3, kUnit = 4 };
}  // namespace label
namespace mapping {
enum : uint32_t {
  kId = 1,
  kBegin = 2,
  kEnd = 3,
  kFileOffset = 4,
  kFile = 5,
  kBuildId = 6,
  kHasFunctions = 7,
};
}  // namespace mapping
namespace location {
enum : uint32_t { kId = 1, kMappingId = 2, kAddress = 3, kLine = 4 };
}  // namespace location
namespace line {
enum : uint32_t { kFunctionId = 1, kLine = 2 };
}  // namespace line
namespace function {
enum : uint32_t {
  kId = 1,
  kName = 2,
  kSystemName = 3,
  kFile = 4,
  kFirstLine = 5,
};
}  // namespace function

// What a sampled object is called that has no type.
const char* NameOf(ProfiledObject object) {
  switch (object) {
    case ProfiledObject::kTyped:
      break;
    case ProfiledObject::kBytes:
      return NameOfUntyped(ScanKind::kNoscan);
    case ProfiledObject::kSlots:
      return NameOfUntyped(ScanKind::kValues);
    case ProfiledObject::kBitmap:
      return NameOfUntyped(ScanKind::kBitmap);
    case ProfiledObject::kAmbiguous:
      return kAmbiguousWordsName;
  }
  return "";
}

// Of the functions on a call stack, those of loam itself: the ones that a
// sample ends in are left out. A function of C has a name without parentheses.
bool IsLoam(std::string_view name) {
  return name.substr(0, 6) == "loam::" ||
         (name.substr(0, 5) == "loam_" &&
          name.find('(') == std::string_view::npos);
}

using Readings = OsArray<HeapProfile::Reading>;

// What HeapProfile::Read says of `moment`; behind that there may be readings
// without a bucket. False when out of memory.
bool ReadAll(HeapProfile* heap_profile, uint64_t moment, Readings* readings) {
  size_t count = heap_profile->bucket_count();
  do {
    readings->Release();
    if (!readings->Extend(count + count / 8 + 64)) return false;
    count = heap_profile->Read(moment, readings->begin(), readings->size());
  } while (count > readings->size());
  return true;
}

class ProfileWriter {
 public:
  ProfileWriter(Runtime* runtime, OutputFile* file)
      : runtime_(runtime),
        callbacks_(runtime->options().callbacks),
        file_(file) {}

  // False when out of memory.
  bool Write();

 private:
  // Reads the counts of the last moment that can be told. False when out of
  // memory.
  bool ReadCounts(Readings* readings);
  // What functions and locations are of.
  enum Kind : uint64_t { kNativeName, kEmbedderFunction, kUnknown };
  uint64_t String(std::string_view text) { return strings_.NumberOf(text); }
  uint64_t Function(uint64_t id, const char* name, const char* file,
                    uint32_t first_line);
  uint64_t EmbedderLocation(uintptr_t embedder_function, uint32_t line);
  uint64_t NativeLocation(uintptr_t address);
  uint64_t UnknownLocation();
  bool IsLoamFrame(uintptr_t address);
  void WriteValueType(uint32_t field, const char* type, const char* unit);
  void WriteLocation(uint64_t id, uint64_t address, uint64_t function_id,
                     uint32_t line_number);
  void WriteSample(const HeapProfile::Reading& reading);
  void Comment(const char* format, ...) __attribute__((format(printf, 2, 3)));
  static void AddMapping(const LoadedCode& code, void* data);

  Runtime* const runtime_;
  const Callbacks& callbacks_;
  OutputFile* const file_;
  StringTable strings_;
  NumberTable functions_;
  NumberTable locations_;
  NumberTable frames_looked_at_;
  NumberTable loam_frames_;
  bool out_of_memory_ = false;
  // Of code, in the file in this order; what does not fit has no mapping.
  struct CodeRange {
    uintptr_t begin, end;
  };
  static constexpr size_t kMaxMappings = 256;
  CodeRange mappings_[kMaxMappings];
  size_t mapping_count_ = 0;
};

uint64_t ProfileWriter::Function(uint64_t id, const char* name,
                                 const char* file, uint32_t first_line) {
  ProtoMessage message;
  message.PutNumber(function::kId, id);
  const uint64_t name_string = String(name);
  message.PutNumber(function::kName, name_string);
  message.PutNumber(function::kSystemName, name_string);
  if (file != nullptr) message.PutNumber(function::kFile, String(file));
  message.PutNumber(function::kFirstLine, first_line);
  message.WriteTo(file_, profile::kFunction);
  return id;
}

void ProfileWriter::WriteLocation(uint64_t id, uint64_t address,
                                  uint64_t function_id, uint32_t line_number) {
  ProtoMessage message;
  message.PutNumber(location::kId, id);
  for (size_t i = 0; i < mapping_count_; i++) {
    if (address >= mappings_[i].begin && address < mappings_[i].end) {
      message.PutNumber(location::kMappingId, i + 1);
      break;
    }
  }
  message.PutNumber(location::kAddress, address);
  if (function_id != 0) {
    ProtoMessage in_line;
    in_line.PutNumber(line::kFunctionId, function_id);
    in_line.PutNumber(line::kLine, line_number);
    message.PutMessage(location::kLine, in_line);
  }
  message.WriteTo(file_, profile::kLocation);
}

uint64_t ProfileWriter::EmbedderLocation(uintptr_t embedder_function,
                                         uint32_t line_number) {
  bool is_new;
  const uint64_t id = locations_.Number(
      {kEmbedderFunction, embedder_function, line_number}, &is_new);
  if (id == 0) out_of_memory_ = true;
  if (!is_new) return id;
  const uint64_t function_id =
      functions_.Number({kEmbedderFunction, embedder_function, 0}, &is_new);
  if (is_new) {
    ProfiledFunction described = {};
    if (callbacks_.profile_function != nullptr) {
      described = callbacks_.profile_function(runtime_, embedder_function);
    }
    char unnamed[32];
    if (described.name == nullptr) {
      snprintf(unnamed, sizeof(unnamed), "function %#zx", embedder_function);
      described.name = unnamed;
    }
    Function(function_id, described.name, described.file, described.first_line);
  }
  WriteLocation(id, 0, function_id, line_number);
  return id;
}

// The instruction before a return address is that of the call.
uint64_t ProfileWriter::NativeLocation(uintptr_t address) {
  bool is_new;
  const uint64_t id = locations_.Number({kNativeName, address, 0}, &is_new);
  if (id == 0) out_of_memory_ = true;
  if (!is_new) return id;
  char name[1024];
  uint64_t function_id = 0;
  if (callbacks_.symbolize != nullptr &&
      callbacks_.symbolize(address - 1, name, sizeof(name))) {
    function_id = functions_.Number({kNativeName, String(name), 0}, &is_new);
    if (is_new) Function(function_id, name, nullptr, 0);
  }
  WriteLocation(id, address - 1, function_id, 0);
  return id;
}

// Stands for a call stack that could not be unwound, or one too many.
uint64_t ProfileWriter::UnknownLocation() {
  bool is_new;
  const uint64_t id = locations_.Number({kUnknown, 0, 0}, &is_new);
  if (id == 0) out_of_memory_ = true;
  if (!is_new) return id;
  const uint64_t function_id = functions_.Number({kUnknown, 0, 0}, &is_new);
  if (is_new) Function(function_id, "(unknown call stack)", nullptr, 0);
  WriteLocation(id, 0, function_id, 0);
  return id;
}

bool ProfileWriter::IsLoamFrame(uintptr_t address) {
  const NumberTable::Key key = {kNativeName, address, 0};
  bool is_new;
  if (frames_looked_at_.Number(key, &is_new) == 0) out_of_memory_ = true;
  if (is_new) {
    char name[1024];
    if (callbacks_.symbolize != nullptr &&
        callbacks_.symbolize(address - 1, name, sizeof(name)) && IsLoam(name)) {
      loam_frames_.Number(key, &is_new);
    }
  }
  return loam_frames_.Has(key);
}

void ProfileWriter::WriteValueType(uint32_t field, const char* type,
                                   const char* unit) {
  ProtoMessage message;
  message.PutNumber(value_type::kType, String(type));
  message.PutNumber(value_type::kUnit, String(unit));
  message.WriteTo(file_, field);
}

void ProfileWriter::AddMapping(const LoadedCode& code, void* data) {
  auto* self = static_cast<ProfileWriter*>(data);
  if (self->mapping_count_ == kMaxMappings) return;
  self->mappings_[self->mapping_count_++] = {code.begin, code.end};
  ProtoMessage message;
  message.PutNumber(mapping::kId, self->mapping_count_);
  message.PutNumber(mapping::kBegin, code.begin);
  message.PutNumber(mapping::kEnd, code.end);
  message.PutNumber(mapping::kFileOffset, code.file_offset);
  message.PutNumber(mapping::kFile, self->String(code.file));
  message.PutNumber(mapping::kBuildId, self->String(code.build_id));
  // pprof looks for symbols itself where this is not said.
  message.PutNumber(mapping::kHasFunctions,
                    self->callbacks_.symbolize != nullptr ? 1 : 0);
  message.WriteTo(self->file_, profile::kMapping);
}

void ProfileWriter::Comment(const char* format, ...) {
  char text[200];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  ProtoMessage message;
  message.PutElement(profile::kComment, String(text));
  message.WriteRaw(file_);
}

void ProfileWriter::WriteSample(const HeapProfile::Reading& reading) {
  const ProfileBucket& bucket = *reading.bucket;
  const ProfileCounts& counts = reading.counts;
  if (counts.allocated_samples == 0) return;
  ProtoMessage message;
  const uintptr_t* words = bucket.words();
  size_t frames = 0;
  for (size_t i = 0; i < bucket.embedder_frames; i++) {
    const uint64_t id =
        EmbedderLocation(words[0], static_cast<uint32_t>(words[1]));
    message.PutElement(sample::kLocationId, id);
    words += 2;
    frames++;
  }
  bool is_leading = true;
  for (size_t i = 0; i < bucket.native_frames; i++) {
    is_leading = is_leading && IsLoamFrame(words[i]);
    if (is_leading) continue;
    message.PutElement(sample::kLocationId, NativeLocation(words[i]));
    frames++;
  }
  if (frames == 0) message.PutElement(sample::kLocationId, UnknownLocation());

  const auto cell_bytes = static_cast<double>(bucket.cell.cell_bytes);
  // What is rounding error when all are dead is not left.
  const bool in_use = counts.allocated_samples != counts.freed_samples;
  const double used =
      in_use ? counts.allocated_objects - counts.freed_objects : 0;
  for (const double value :
       {counts.allocated_objects, counts.allocated_objects * cell_bytes, used,
        used * cell_bytes}) {
    message.PutElement(sample::kValue,
                       static_cast<uint64_t>(std::llround(value)));
  }

  ProtoMessage type;
  type.PutNumber(label::kKey, String("type"));
  type.PutNumber(label::kString, String(bucket.cell.type != nullptr
                                            ? bucket.cell.type->name
                                            : NameOf(bucket.cell.object)));
  message.PutMessage(sample::kLabel, type);
  ProtoMessage size;
  size.PutNumber(label::kKey, String("bytes"));
  size.PutNumber(label::kNumber, bucket.cell.cell_bytes);
  size.PutNumber(label::kUnit, String("bytes"));
  message.PutMessage(sample::kLabel, size);
  message.WriteTo(file_, profile::kSample);
}

bool ProfileWriter::ReadCounts(Readings* readings) {
  HeapProfile* heap_profile = runtime_->specials()->heap_profile();
  Sweeper* sweeper = runtime_->sweeper();
  for (;;) {
    // When all is swept, what the last marking found dead is all counted. If
    // that has to wait for others, another collection may come first.
    const uint64_t sweeping = heap_profile->sweeping();
    sweeper->SweepAll();
    bool is_swept;
    while (!(is_swept = sweeper->is_done()) &&
           heap_profile->sweeping() == sweeping) {
      sched_yield();
    }
    const uint64_t moment = is_swept ? sweeping + 1 : sweeping;
    AtRacePoint(RacePoint::kMomentChosen);
    if (!ReadAll(heap_profile, moment, readings)) return false;
    // As long as no marking is over, all is told. If the first has ended since,
    // the moment chosen is the one before it, which has nothing in it.
    if (sweeping != 0 || heap_profile->cycles() == 0) return true;
    sched_yield();
  }
}

bool ProfileWriter::Write() {
  HeapProfile* heap_profile = runtime_->specials()->heap_profile();
  Readings readings;
  if (!ReadCounts(&readings)) return false;

  String("");  // must be the first
  WriteValueType(profile::kSampleType, "alloc_objects", "count");
  WriteValueType(profile::kSampleType, "alloc_space", "bytes");
  WriteValueType(profile::kSampleType, "inuse_objects", "count");
  WriteValueType(profile::kSampleType, "inuse_space", "bytes");
  WriteValueType(profile::kPeriodType, "space", "bytes");
  ProtoMessage numbers;
  numbers.PutNumber(profile::kPeriod, runtime_->sampling_rate()->rate());
  numbers.PutNumber(profile::kDefaultSampleType, String("inuse_space"));
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  numbers.PutNumber(profile::kTimeNanos,
                    static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 +
                        static_cast<uint64_t>(now.tv_nsec));
  numbers.WriteRaw(file_);
  Comment("loam heap '%s'", runtime_->options().name);
  if (const uint64_t lost = heap_profile->lost_samples(); lost != 0) {
    Comment("%llu samples are missing: there was no memory for them",
            static_cast<unsigned long long>(lost));
  }
  ForEachLoadedCode(&AddMapping, this);
  for (const HeapProfile::Reading& reading : readings) {
    if (reading.bucket != nullptr) WriteSample(reading);
  }
  for (size_t i = 0; i < strings_.size(); i++) {
    ProtoMessage::WriteString(file_, profile::kString, strings_[i]);
  }
  return !out_of_memory_ && !strings_.is_out_of_memory();
}

}  // namespace

Status Runtime::WriteProfile(const char* path, ErrorMessage* message) {
  const ScopedFatalContext context(&fatal_context_);
  OutputFile file(path);
  Status status = file.Open(message);
  if (status != Status::kOk) return status;
  if (!ProfileWriter(this, &file).Write()) {
    message->Format("no memory for the tables of a profile");
    return Status::kOutOfMemory;
  }
  return file.Commit(message);
}

}  // namespace loam
