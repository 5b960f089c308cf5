/*
 * The coverage marks of the PBFT core (core/mark.h), by file.
 */
#ifndef ORDAIN_BFT_MARKS_H
#define ORDAIN_BFT_MARKS_H

#include "core/mark.h"

#define BFT_MARKS(X)                                                                                                   \
    /* advance.c */                                                                                                    \
    X(DELIVER_BEHIND_GAP, OFTEN, "a seq that was missing delivers those behind it too")                                \
    /* authenticate.c */                                                                                               \
    X(DOOR_OTHER_BODY, RARE, "a PRE-PREPARE whose digest is not its batch's")                                          \
    X(DOOR_OTHER_SENDER, OFTEN, "a message that names another than the link's owner, or ourselves")                    \
    /* body.c */                                                                                                       \
    X(BODY_UNWANTED, OFTEN, "a BODY that nobody waits for")                                                            \
    X(BODY_ADOPTED, OFTEN, "a new primary takes the batch of another's certificate")                                   \
    X(BODY_ADOPTED_FOR_LATER_VIEW, RARE, "... in place of one with a certificate of an earlier view")                  \
    X(BODY_OF_ENTRY, OFTEN, "a batch that the installed view proposes again came")                                     \
    /* checkpoint.c */                                                                                                 \
    X(STABLE_LATE, OFTEN, "a point that was certified ahead of us is reached by the log")                              \
    X(TARGET_NEXT, OFTEN, "the nearest certified point is reached, a newer one is still ahead")                        \
    /* choose.c */                                                                                                     \
    X(CHOICE_LATER_VIEW, OFTEN, "of two certificates for a seq the one of the later view wins")                        \
    X(CHOICE_BELOW_BASE, OFTEN, "a certificate at or below another's stable checkpoint")                               \
    /* commit.c */                                                                                                     \
    X(COMMIT_BEFORE_PREPARED, OFTEN, "a COMMIT for what is not prepared here")                                         \
    X(COMMIT_CONTRADICTS, OFTEN, "a second COMMIT of a replica, for another batch")                                    \
    /* entries.c */                                                                                                    \
    X(ENTRY_VOIDS_BATCH, OFTEN, "the NEW-VIEW has another batch for a seq than we kept")                               \
    X(ENTRY_VOIDS_CERTIFICATE, RARE, "... which had a certificate")                                                    \
    X(ENTRY_AWAITS_BATCH, OFTEN, "the NEW-VIEW proposes a batch again that is not here")                               \
    X(ENTRY_BEYOND_WINDOW, OFTEN, "the NEW-VIEW reaches beyond our window")                                            \
    /* fetch.c */                                                                                                      \
    X(FETCH_PASSED, OFTEN, "what was to be fetched was passed by state transfer")                                      \
    X(FETCH_NEXT_PEER, OFTEN, "another peer is asked for a batch")                                                     \
    X(FETCH_TOO_SOON, RARE, "a peer asks for batches again too soon")                                                  \
    /* install.c */                                                                                                    \
    X(INSTALLED_BEHIND_BASE, OFTEN, "a view begins above what we have delivered")                                      \
    X(INSTALLED_VOIDS_ABOVE, OFTEN, "a certificate above all that the NEW-VIEW proposes again")                        \
    /* new_view.c */                                                                                                   \
    X(CHOICE_NULL, RARE, "a new primary proposes a null batch")                                                        \
    X(NEW_VIEW_OUT_OF_WINDOW, OFTEN, "a new primary proposes again what its own window does not have")                 \
    X(NEW_VIEW_LACKS_BATCH, OFTEN, "a new primary waits for a batch")                                                  \
    X(NEW_VIEW_LACKS_CHANGE, OFTEN, "a NEW-VIEW waits for a VIEW-CHANGE that it names")                                \
    X(NEW_VIEW_REFUSED, RARE, "a NEW-VIEW does not follow from its view changes")                                      \
    X(NEW_VIEW_DUE_TAKEN, RARE, "the NEW-VIEW that is due takes the place of a later one")                             \
    X(NEW_VIEW_TWICE, RARE, "two NEW-VIEWs of one view")                                                               \
    X(CHANGE_DISTRUSTED, RARE, "a VIEW-CHANGE whose batches nobody gives is done without")                             \
    X(CHANGE_TRUSTED_AGAIN, RARE, "... and is needed after all")                                                       \
    X(CHANGE_NAMED_USED, OFTEN, "a view rests on another VIEW-CHANGE than the first that we had of its author")        \
    /* prepare.c */                                                                                                    \
    X(PREPARE_BY_PRIMARY, OFTEN, "a PREPARE of the primary")                                                           \
    X(PREPARE_CONTRADICTS, OFTEN, "evidence: two PREPAREs of a backup for one seq")                                    \
    X(PREPARE_OUT_OF_WINDOW, OFTEN, "a vote out of the window in a list with others")                                  \
    /* propose.c */                                                                                                    \
    X(PRE_PREPARE_USURPED, OFTEN, "a PRE-PREPARE of who is not the primary")                                           \
    X(PRE_PREPARE_BELOW_BASE, RARE, "a PRE-PREPARE below where its view began")                                        \
    X(PRE_PREPARE_NO_ROOM, RARE, "no room for the batch of a PRE-PREPARE")                                             \
    X(PRE_PREPARE_AFTER_VOTES, OFTEN, "votes were here before the PRE-PREPARE")                                        \
    X(JUDGED_INADMISSIBLE, RARE, "a batch is not admissible")                                                          \
    /* ratchet.c */                                                                                                    \
    X(WINDOW_SLOW, OFTEN, "envelopes waited much longer than the best views gave")                                     \
    X(WINDOW_FAST_AGAIN, OFTEN, "... and then did not")                                                                \
    X(PRIMARY_SLOW, RARE, "two slow windows in a row")                                                                 \
    /* recover.c */                                                                                                    \
    X(RESTART_BATCH_LOOSE, OFTEN, "restart: a batch of an earlier view that no certificate vouches for")               \
    X(RESTART_BATCH_VOID, RARE, "restart: a batch that a later view made void")                                        \
    X(RESTART_CERTIFICATE_VOID, RARE, "restart: a certificate that a later view made void")                            \
    X(RESTART_NULL_CERTIFIED, RARE, "restart: the certificate of a null batch")                                        \
    X(RESTART_PREPARED, OFTEN, "restart: a COMMIT stands")                                                             \
    X(RESTART_IN_LATER_VIEW, OFTEN, "restart in a view above 0")                                                       \
    X(RESTART_PROMISE, OFTEN, "restart: the VIEW-CHANGE is sent again")                                                \
    /* relay.c */                                                                                                      \
    X(PRE_PREPARE_RELAYED, OFTEN, "who was left out gets a PRE-PREPARE from another than the primary")                 \
    X(NEWS_RELAYED, OFTEN, "another's VIEW-CHANGE or NEW-VIEW is passed on")                                           \
    X(NEWS_TOO_SOON, OFTEN, "a peer wants news of the view again too soon")                                            \
    X(NEWS_EVIDENCE_AGAIN, OFTEN, "evidence is given again to who stays in the view")                                  \
    /* retransmit.c */                                                                                                 \
    X(ANSWER_TOO_SOON, OFTEN, "a peer's STATUS comes too soon after the last answer")                                  \
    X(STATUS_OF_LATER_VIEW, OFTEN, "STATUS of a later view, or while we change views")                                 \
    /* suspect.c */                                                                                                    \
    X(SUSPECTS_ALONE, OFTEN, "a replica suspects the primary, and too few with it")                                    \
    X(CONTENT_AGAIN, OFTEN, "... and is content again")                                                                \
    X(VIEW_FAILED, OFTEN, "a view change had a quorum for a timeout, and no view came of it")                          \
    /* sync.c */                                                                                                       \
    X(TARGET_NEARER, RARE, "a certified point between us and the one we knew")                                         \
    X(SYNC_BEYOND_WINDOW, OFTEN, "SYNC: the certified point lies beyond the window")                                   \
    X(SYNC_OVERDUE, OFTEN, "SYNC: the others did not bring us to the certified point in time")                         \
    X(SYNCED_INTO_WINDOW, OFTEN, "state transfer ends where the log goes on")                                          \
    /* view_change.c */                                                                                                \
    X(LEFT_WHILE_JUDGING, OFTEN, "a view is left while the node judges a batch")                                       \
    X(JOINED_FURTHER_VIEW, OFTEN, "f + 1 others are ahead by more than one view")                                      \
    X(FEW_AHEAD, OFTEN, "others are ahead, too few to follow")                                                         \
    X(CHANGE_TWICE, OFTEN, "evidence: two VIEW-CHANGEs for one view")                                                  \
    X(CHANGE_NAMED_TAKEN, OFTEN, "the VIEW-CHANGE that the NEW-VIEW names comes after another of its author")          \
    /* view_message.c */                                                                                               \
    X(CHANGE_CERTIFICATE_FORGED, RARE, "a VIEW-CHANGE with a certificate that is none")                                \
    X(CHANGE_CHECKPOINT_FORGED, RARE, "a VIEW-CHANGE with a checkpoint that is none")                                  \
    X(CHANGE_CHECKPOINT_OTHER, RARE, "a VIEW-CHANGE with the proof of another checkpoint")                             \
    /* witness.c */                                                                                                    \
    X(WITNESS_GIVEN, OFTEN, "a backup is told that the primary gave us another batch")                                 \
    X(WITNESS_CONVICTS, RARE, "evidence by another's witness")                                                         \
    X(PRIMARY_CONTRADICTS, OFTEN, "evidence: two batches of the primary for one seq")                                  \
    X(EVIDENCE_TAKEN, OFTEN, "a view is left on evidence that another passed on")

BFT_MARKS(ORD_MARK_DECLARE)

#endif
