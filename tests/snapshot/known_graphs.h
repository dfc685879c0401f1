// Heaps for snapshots: many small objects, and a service that leaks.

#ifndef LOAM_TESTS_SNAPSHOT_KNOWN_GRAPHS_H_
#define LOAM_TESTS_SNAPSHOT_KNOWN_GRAPHS_H_

#include <cstdint>
#include <vector>

#include "tests/api/test_heap.h"
#include "tests/base/test_random.h"

namespace loam_test {

// `count` nodes, each with references to two others at random, and an array of
// all of them, which is the only root.
class ManyNodes : public TestHeap {
 public:
  explicit ManyNodes(size_t count) {
    const loam_type* type = RegisterNode(types(), LOAM_TYPE_HOT);
    all = static_cast<void**>(loam_alloc_slots(m(), count));
    EXPECT_NE(all, nullptr);
    kept = {all};
    for (size_t i = 0; i < count; i++) {
      Node* node = NewNode(m(), type, i);
      EXPECT_NE(node, nullptr);
      loam_store_value(m(), all, &all[i], reinterpret_cast<loam_word>(node));
    }
    for (size_t i = 0; i < count; i++) {
      Node* from = node(i);
      loam_store_pointer(m(), from, &from->left, all[random.Below(count)]);
      loam_store_pointer(m(), from, &from->right, all[random.Below(count)]);
    }
    Collect();
  }

  Node* node(size_t i) const { return static_cast<Node*>(all[i]); }

  loam::TestRandom random;
  void** all;
};

// Serves requests: each makes a session with a user and a log. The last 100
// sessions are kept on purpose; by mistake, every tenth is also put on a list
// that nobody ever looks at.
class LeakyService : public TestHeap {
 public:
  LeakyService() {
    server_type_ = RegisterType(
        types(), "server", sizeof(Server),
        {{"recent", 0, 1, LOAM_POINTER}, {"failed", 8, 1, LOAM_POINTER}});
    list_type_ = RegisterType(types(), "list", sizeof(List),
                              {{"items", 0, 1, LOAM_POINTER}});
    items_type_ = RegisterType(types(), "items", 8, {}, 0, 8,
                               {{nullptr, 0, 1, LOAM_POINTER}});
    session_type_ = RegisterType(
        types(), "session", sizeof(Session),
        {{"user", 0, 1, LOAM_POINTER}, {"log", 8, 1, LOAM_POINTER}},
        LOAM_TYPE_HOT);
    user_type_ = RegisterType(types(), "user", sizeof(User),
                              {{"name", 0, 1, LOAM_POINTER}});
    EXPECT_EQ(loam_root_add(heap(), &server_, LOAM_POINTER, "server", &root_),
              LOAM_OK);
    server_ = static_cast<Server*>(loam_alloc(m(), server_type_));
    loam_store_pointer(m(), server_, &server_->recent, NewList());
    loam_store_pointer(m(), server_, &server_->failed, NewList());
    for (size_t i = 0; i < kRecent; i++) Push(server_->recent, nullptr);
  }
  ~LeakyService() { EXPECT_EQ(loam_root_remove(root_), LOAM_OK); }

  static constexpr size_t kRecent = 100;

  void Serve(size_t requests) {
    for (size_t i = 0; i < requests; i++, served_++) {
      Session* session = NewSession();
      Items* recent = server_->recent->items;
      loam_store_pointer(m(), recent, &recent->slots[served_ % kRecent],
                         session);
      if (served_ % 10 == 0) Push(server_->failed, session);
    }
  }

  size_t leaked() const { return server_->failed->count; }
  // References in objects, by what the program knows; after kRecent requests.
  size_t References() const {
    size_t sessions = leaked();
    for (size_t i = 0; i < kRecent; i++) {
      // Those on both lists count once.
      sessions += !IsLeaked(i);
    }
    return 2 + 2 + leaked() + kRecent + 3 * sessions;
  }

 private:
  struct User {
    void* name;
    uint64_t number;
  };
  struct Session {
    User* user;
    void* log;
    uint64_t number;
  };
  struct Items {
    uint64_t capacity;
    void* slots[1];
  };
  struct List {
    Items* items;
    uint64_t count;
  };
  struct Server {
    List* recent;
    List* failed;
  };

  bool IsLeaked(size_t i) const {
    return static_cast<Session*>(server_->recent->items->slots[i])->number %
               10 ==
           0;
  }
  Items* NewItems(size_t capacity) {
    auto* items =
        static_cast<Items*>(loam_alloc_array(m(), items_type_, capacity));
    EXPECT_NE(items, nullptr);
    items->capacity = capacity;
    return items;
  }
  List* NewList() {
    LOAM_FRAME(m(), frame, 1, LOAM_POINTER);
    auto* list = static_cast<List*>(loam_alloc(m(), list_type_));
    frame.slots[0] = reinterpret_cast<loam_word>(list);
    loam_store_pointer(m(), list, &list->items, NewItems(128));
    LOAM_FRAME_END(frame);
    return list;
  }
  void Push(List* list, void* item) {
    LOAM_FRAME(m(), frame, 1, LOAM_POINTER);
    frame.slots[0] = reinterpret_cast<loam_word>(item);
    if (list->count == list->items->capacity) {
      Items* more = NewItems(2 * list->count);
      for (size_t i = 0; i < list->count; i++) {
        loam_store_pointer(m(), more, &more->slots[i], list->items->slots[i]);
      }
      loam_store_pointer(m(), list, &list->items, more);
    }
    loam_store_pointer(m(), list->items, &list->items->slots[list->count],
                       item);
    list->count++;
    LOAM_FRAME_END(frame);
  }
  Session* NewSession() {
    LOAM_FRAME(m(), frame, 1, LOAM_POINTER);
    auto* session = static_cast<Session*>(loam_alloc(m(), session_type_));
    frame.slots[0] = reinterpret_cast<loam_word>(session);
    session->number = served_;
    auto* user = static_cast<User*>(loam_alloc(m(), user_type_));
    loam_store_pointer(m(), session, &session->user, user);
    loam_store_pointer(m(), user, &user->name, loam_alloc_bytes(m(), 24));
    loam_store_pointer(m(), session, &session->log, loam_alloc_bytes(m(), 200));
    LOAM_FRAME_END(frame);
    return session;
  }

  const loam_type *server_type_, *list_type_, *items_type_, *session_type_,
      *user_type_;
  Server* server_ = nullptr;
  loam_root* root_ = nullptr;
  size_t served_ = 0;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_SNAPSHOT_KNOWN_GRAPHS_H_
