/*
 * The coverage marks of the Raft core (core/mark.h), by file.
 */
#ifndef ORDAIN_RAFT_MARKS_H
#define ORDAIN_RAFT_MARKS_H

#include "core/mark.h"

#define RAFT_MARKS(X)                                                                                                  \
    /* append.c */                                                                                                     \
    X(RAFT_APPEND_OLD_TERM, OFTEN, "a leader of an earlier term sends entries")                                        \
    X(RAFT_APPEND_GAP, OFTEN, "an entry comes that does not follow on the log")                                        \
    X(RAFT_APPEND_CUTS, OFTEN, "entries that conflict with the leader's are cut")                                      \
    X(RAFT_APPEND_AGAIN, OFTEN, "an entry comes that is here")                                                         \
    X(RAFT_APPEND_NO_ROOM, RARE, "there is no room for an entry")                                                      \
    X(RAFT_HALTED, RARE, "a leader wants to cut what is committed")                                                    \
    /* commit.c */                                                                                                     \
    X(RAFT_COMMIT_OLD_TERM_WAITS, OFTEN, "a majority holds an entry of an earlier term, and none of this one")         \
    X(RAFT_DELIVERS_LATER, RARE, "more is committed than one turn delivers")                                           \
    X(RAFT_COMMIT_BEFORE_DURABLE, OFTEN, "an entry is committed that is not durable at its leader")                    \
    /* election.c */                                                                                                   \
    X(RAFT_VOTE_IN_LEASE, OFTEN, "a vote is refused because a leader was heard lately")                                \
    X(RAFT_VOTE_OLD_LOG, OFTEN, "a vote is refused because the candidate's log is behind")                             \
    X(RAFT_VOTE_SPENT, OFTEN, "a vote is refused because another has it")                                              \
    X(RAFT_VOTE_SPLIT, OFTEN, "an election ends without a leader")                                                     \
    X(RAFT_QUORUM_LOST, OFTEN, "a leader steps down because it hears no majority")                                     \
    /* message.c */                                                                                                    \
    X(RAFT_DOOR_OTHER_SENDER, RARE, "a message names another sender than the link's owner")                            \
    X(RAFT_DOOR_OTHER_POINT, RARE, "a snapshot point has no valid certificate of its seq")                             \
    /* progress.c */                                                                                                   \
    X(RAFT_ELECTED_NO_ROOM, RARE, "a leader has no room for its null batch")                                           \
    X(RAFT_ANSWER_STALE, OFTEN, "an answer tells nothing new")                                                         \
    X(RAFT_OTHER_LIFE, RARE, "a message is of another life of its sender than is known")                               \
    X(RAFT_FLOW_RESUMED, OFTEN, "a follower was slow, and what was on its way to it is not sent again")                \
    X(RAFT_FLOW_FULL, OFTEN, "a follower gets no more entries until it answers")                                       \
    X(RAFT_FLOW_STALLED, OFTEN, "a follower does not answer, and is probed again")                                     \
    /* recovery.c */                                                                                                   \
    X(RAFT_FORGOT, RARE, "another replica's record proves that this one has forgotten something")                      \
    X(RAFT_EMPTY, OFTEN, "a replica starts with an empty disk")                                                        \
    X(RAFT_SILENCE_ENDS, RARE, "a replica that forgot something may speak again")                                      \
    X(RAFT_RECALL_UNCOUNTED, RARE, "the answer of a replica that forgot something itself does not count")              \
    /* snapshot.c */                                                                                                   \
    X(RAFT_POINT_SENT, OFTEN, "a follower needs entries that are gone, and gets the snapshot point")                   \
    X(RAFT_POINT_KEEPS_SUFFIX, RARE, "a snapshot point is installed below entries that follow on it")                  \
    X(RAFT_POINT_DROPS_LOG, OFTEN, "a snapshot point is installed and the log does not follow on it")                  \
    /* transfer.c */                                                                                                   \
    X(RAFT_TRANSFER, OFTEN, "a leader lets another replica lead")                                                      \
    X(RAFT_TRANSFER_FAILED, RARE, "leadership was not taken over in time")

RAFT_MARKS(ORD_MARK_DECLARE)

#endif
